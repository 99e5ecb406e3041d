package irsatest

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Options configures [New] and [Start]. The zero value is valid.
type Options struct {
	// Region is the AWS region of the cluster and of its pods. The default is "us-west-2".
	// It also determines the partition of the ARNs and of the endpoints, such as aws,
	// aws-cn, aws-us-gov, aws-eusc or aws-iso. A name that is not valid for any AWS region
	// is an error.
	Region string

	// AccountID is the AWS account that owns the roles, twelve digits. The default is
	// "111122223333". For roles in other accounts, see InAccount.
	AccountID string

	// IssuerURL is the URL of Cluster.Issuer. Set it to the issuer in your own trust
	// policy. It must begin with https:// and must not have a trailing slash, a port or
	// an IP address, which IAM does not accept. If empty, a URL is generated. On
	// loopback, only the STS can reach the issuer at this URL.
	IssuerURL string

	// Loopback makes New listen on 127.0.0.1, as Start always does. Set it for code that
	// reads the environment, child processes and clients in other languages. Such a
	// Cluster cannot be used inside a testing/synctest bubble.
	Loopback bool

	// Dir is the directory for the pods' volumes. It is created if it does not exist,
	// and Close does not remove it. If empty, New uses t.TempDir, and Start creates a
	// temporary directory that Close removes.
	Dir string
}

// Cluster is a Kubernetes cluster with an OIDC issuer, and an AWS account that trusts the
// issuer. [Cluster.NewIssuer] adds another issuer, and [InAccount] another account. Create
// a Cluster with [New] or [Start]. It is safe for concurrent use. Clusters are independent
// of each other, so parallel tests use one each.
type Cluster struct {
	// Issuer signs the service account tokens.
	Issuer *Issuer
	// STS exchanges the tokens for credentials.
	STS *STS

	tb         testing.TB // nil if created by Start
	region     string
	accountID  string
	dir        string
	issuerBase string // prefix of generated issuer URLs
	transport  http.RoundTripper
	kubelets   kubelets
	close      func() error

	mu         sync.Mutex
	roles      map[string]*Role  // by ARN
	roleNames  map[string]string // ARNs by account and name in lower case
	issuers    []*Issuer
	podRegions []string
	providers  map[provider][]string // client IDs
}

// New creates a Cluster that is closed when the test ends. It works in memory, unless
// Options.Loopback is set.
func New(t testing.TB, optFns ...func(*Options)) *Cluster {
	t.Helper()
	o := Options{}
	for _, fn := range optFns {
		fn(&o)
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	k, err := newCluster(o)
	if err == nil && o.Loopback {
		err = k.listen("", o.IssuerURL)
	}
	if err != nil {
		t.Fatal(err)
	}
	k.tb = t
	if !o.Loopback {
		k.inMemory(o.IssuerURL)
	}
	t.Cleanup(func() { _ = k.Close() })
	return k
}

// Start creates a Cluster that listens on 127.0.0.1, for programs. Tests that need real
// sockets use [New] with Options.Loopback instead. The issuer and the STS listen on
// separate ports. The caller must close the Cluster. It cannot be used inside a
// testing/synctest bubble.
func Start(optFns ...func(*Options)) (*Cluster, error) {
	o := Options{}
	for _, fn := range optFns {
		fn(&o)
	}
	temporary := ""
	if o.Dir == "" {
		dir, err := os.MkdirTemp("", "irsatest-")
		if err != nil {
			return nil, fmt.Errorf("irsatest: %w", err)
		}
		o.Dir, temporary = dir, dir
	}
	k, err := newCluster(o)
	if err == nil {
		err = k.listen(temporary, o.IssuerURL)
	}
	if err != nil && temporary != "" {
		err = errors.Join(err, os.RemoveAll(temporary))
	}
	if err != nil {
		return nil, err
	}
	return k, nil
}

// newCluster creates a Cluster without a transport and without an issuer.
func newCluster(o Options) (*Cluster, error) {
	o.Region = cmp.Or(o.Region, "us-west-2")
	o.AccountID = cmp.Or(o.AccountID, "111122223333")
	if err := checkRegion(o.Region); err != nil {
		return nil, fmt.Errorf("irsatest: %w", err)
	}
	if err := checkAccount(o.AccountID); err != nil {
		return nil, fmt.Errorf("irsatest: %w", err)
	}
	if o.IssuerURL != "" {
		err := checkIssuerURL(o.IssuerURL)
		if err == nil {
			err = checkProviderURL(o.IssuerURL)
		}
		if err != nil {
			return nil, fmt.Errorf("irsatest: %w", err)
		}
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("irsatest: %w", err)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("irsatest: %w", err)
	}
	k := &Cluster{
		region: o.Region, accountID: o.AccountID, dir: dir,
		roles: map[string]*Role{}, roleNames: map[string]string{}, providers: map[provider][]string{},
	}
	k.kubelets.done = make(chan struct{})
	k.STS = newSTS(k)
	return k, nil
}

// initIssuer creates the Cluster's own issuer and registers it. issuerURL may be empty.
func (k *Cluster) initIssuer(issuerBase, issuerURL string) {
	k.issuerBase = issuerBase
	k.Issuer = k.NewIssuer()
	k.Issuer.url, k.Issuer.chosenURL = cmp.Or(issuerURL, k.Issuer.url), issuerURL != ""
	k.RegisterIssuer(k.accountID, k.Issuer)
}

// inMemory sets up the Cluster to work without sockets.
func (k *Cluster) inMemory(issuerURL string) {
	k.transport = memoryTransport{k}
	k.initIssuer("https://oidc.eks."+k.region+"."+dnsSuffixes(k.region)[0]+"/id/", issuerURL)
	k.close = sync.OnceValue(func() error {
		k.kubelets.stop()
		k.STS.shutdown()
		return nil
	})
}

// listen starts the Cluster's servers on loopback. Close removes the directory temporary,
// unless it is empty.
func (k *Cluster) listen(temporary, issuerURL string) error {
	issuer, issuerListener, err := newServer(k.handleIssuers)
	if err != nil {
		return err
	}
	sts, stsListener, err := newServer(k.STS.handle)
	if err != nil {
		return errors.Join(err, issuerListener.Close())
	}
	client := loopbackTransport(issuer.addr, sts.addr)
	k.transport = client
	k.STS.server = sts
	k.initIssuer("http://"+issuer.addr+"/id/", issuerURL)
	k.close = sync.OnceValue(func() error {
		k.kubelets.stop()
		k.STS.shutdown()
		client.CloseIdleConnections()
		issuer.shutdown()
		sts.shutdown()
		if temporary == "" {
			return nil
		}
		if err := os.RemoveAll(temporary); err != nil {
			return fmt.Errorf("irsatest: %w", err)
		}
		return nil
	})
	issuer.serve(issuerListener)
	sts.serve(stsListener)
	return nil
}

// Close stops the automatic rotation of tokens, interrupts calls in progress and refuses
// new ones. On loopback it also stops the servers, waits until they have stopped, and
// removes the temporary directory of [Start]. It may be called more than once. New
// registers it with t.Cleanup.
func (k *Cluster) Close() error {
	err := k.close()
	k.releaseKeys()
	return err
}

// HTTPClient returns a new client that reaches this Cluster and nothing else: in memory
// the hosts of STS in the Cluster's partition and the issuers' hosts, on loopback the two
// servers. Requests to any other host fail with "no such host", as in DNS.
func (k *Cluster) HTTPClient() *http.Client {
	return &http.Client{Transport: k.transport}
}

// check ends the test with t.Fatal, or panics without a test, if err is not nil.
func (k *Cluster) check(err error) {
	if err == nil {
		return
	}
	err = fmt.Errorf("irsatest: %w", err)
	if k.tb == nil {
		panic(err)
	}
	k.tb.Helper()
	k.tb.Fatal(err)
}

// checkOwn checks that the argument of a method, a service account, a role or an issuer,
// belongs to the Cluster.
func (k *Cluster) checkOwn(argument any) {
	var owner *Cluster
	switch a := argument.(type) {
	case *ServiceAccount:
		if a != nil {
			owner = a.issuer.cluster
		}
	case *Role:
		if a != nil {
			owner = a.cluster
		}
	case *Issuer:
		if a != nil {
			owner = a.cluster
		}
	}
	if owner != k {
		k.check(fmt.Errorf("the %T is nil, or belongs to another Cluster", argument))
	}
}

// report is check for goroutines other than the test's. It fails the test without ending
// it.
func (k *Cluster) report(err error) {
	if k.tb == nil {
		k.check(err)
	}
	k.tb.Errorf("irsatest: %v", err)
}
