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
	// Region is the AWS region of the cluster and its pods. If empty, "us-west-2" is used. The region
	// also determines the partition of ARNs and endpoints, such as aws, aws-cn, aws-us-gov, aws-eusc or
	// aws-iso. An invalid region name is an error.
	Region string

	// AccountID is the twelve-digit ID of the AWS account that owns the roles. If empty, "111122223333"
	// is used. For roles in other accounts, see InAccount.
	AccountID string

	// IssuerURL is the URL of Cluster.Issuer. If empty, a URL is generated. To test your own trust
	// policy, set it to the issuer that the policy names. It must begin with https://, and cannot have
	// a port or an IP address, because IAM does not accept those. On loopback, only the STS can reach
	// the issuer at this URL.
	IssuerURL string

	// Loopback, if true, makes New listen on 127.0.0.1, as Start always does. Set it for child
	// processes, clients in other languages and code that reads the environment, but not inside a
	// testing/synctest bubble, where such a Cluster cannot be used.
	Loopback bool

	// Dir is the directory for pod volumes. It is created if necessary, but Close does not remove it.
	// If empty, New uses t.TempDir, and Start creates a temporary directory that Close removes.
	Dir string
}

// Cluster simulates a Kubernetes cluster with an OIDC issuer, together with an AWS account that
// trusts the issuer. Create one with [New] or [Start]. [Cluster.NewIssuer] adds another issuer, and
// [InAccount] another account.
//
// A Cluster is safe for concurrent use. Clusters are independent of each other, so parallel tests
// can each use their own.
type Cluster struct {
	// Issuer signs service account tokens.
	Issuer *Issuer
	// STS exchanges tokens for credentials.
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
	roles      map[string]*Role  // keyed by ARN
	roleNames  map[string]string // ARNs keyed by account and lowercase name
	issuers    []*Issuer
	podRegions []string
	providers  map[provider][]string // client IDs
}

// New creates a Cluster and closes it when the test ends. Unless Options.Loopback is set, the
// Cluster works in memory, without sockets.
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

// Start creates a Cluster that listens on 127.0.0.1, with separate ports for the issuer and the STS.
// It is intended for programs. Tests that need real sockets should use [New] with Options.Loopback
// instead. The caller must close the Cluster, and cannot use it inside a testing/synctest bubble.
func Start(optFns ...func(*Options)) (*Cluster, error) {
	o := Options{}
	for _, fn := range optFns {
		fn(&o)
	}
	temporary := ""
	if o.Dir == "" {
		dir, err := os.MkdirTemp("", "irsatest-")
		if err == nil {
			dir, err = filepath.Abs(dir) // TMPDIR may be relative, and the working directory may change
		}
		if err != nil {
			return nil, fmt.Errorf("irsatest: %w; set TMPDIR or Options.Dir to a directory that can be written to", err)
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

// newCluster creates a Cluster without a transport or an issuer.
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

// initIssuer creates and registers the Cluster's own issuer. issuerURL may be empty.
func (k *Cluster) initIssuer(issuerBase, issuerURL string) {
	k.issuerBase = issuerBase
	k.Issuer = k.NewIssuer()
	k.Issuer.url, k.Issuer.chosenURL = cmp.Or(issuerURL, k.Issuer.url), issuerURL != ""
	k.RegisterIssuer(k.accountID, k.Issuer)
}

// inMemory sets up the Cluster without sockets.
func (k *Cluster) inMemory(issuerURL string) {
	k.transport = memoryTransport{k}
	k.initIssuer("https://oidc.eks."+k.region+"."+dnsSuffixes(k.region)[0]+"/id/", issuerURL)
	k.close = sync.OnceValue(func() error {
		k.kubelets.stop()
		k.STS.shutdown()
		return nil
	})
}

// listen starts the Cluster's servers on loopback. If temporary is not empty, Close removes that
// directory.
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

// Close stops automatic token rotation, interrupts calls in progress and refuses new ones. On
// loopback, it also shuts down the servers, waits for them to stop, and removes any temporary
// directory created by [Start]. Close may be called more than once. New calls it through t.Cleanup.
func (k *Cluster) Close() error {
	err := k.close()
	k.releaseKeys()
	return err
}

// HTTPClient returns a new client that reaches only this Cluster. In memory, it reaches the STS hosts
// of the Cluster's partition and the issuers' hosts. On loopback, it reaches the two servers.
// Requests to any other host fail with "no such host", as in DNS.
func (k *Cluster) HTTPClient() *http.Client {
	return &http.Client{Transport: k.transport}
}

// check does nothing if err is nil. Otherwise, it ends the test with t.Fatal, or panics if there is
// no test.
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

// checkOwn calls check with an error if argument, a *ServiceAccount, *Role or *Issuer, is nil or
// belongs to another Cluster.
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

// report is like check, but fails the test without ending it, because only the goroutine of the test
// may call t.Fatal.
func (k *Cluster) report(err error) {
	if k.tb == nil {
		k.check(err)
	}
	k.tb.Errorf("irsatest: %v", err)
}
