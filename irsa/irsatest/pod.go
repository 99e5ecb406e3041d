package irsatest

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/irsakit/irsakit/irsa"
)

// defaultTokenLifetime is what the EKS webhook asks for.
const defaultTokenLifetime = 24 * time.Hour

// defaultAudience is what the EKS webhook asks for, in every partition, and the
// client ID that the account has registered for the issuer.
const defaultAudience = "sts.amazonaws.com"

// PodOptions is what [Cluster.Pod] can be told. The zero value is what the EKS
// webhook sets up.
type PodOptions struct {
	// TokenLife is how long a token is good: 24 hours if zero. Tokens carry
	// whole seconds. Kubernetes refuses less than 600 seconds, the kit does not.
	TokenLife time.Duration

	// Audience is the token's audience: "sts.amazonaws.com" if empty.
	Audience string

	// Region is the AWS region in the pod's environment: the Cluster's if empty.
	Region string

	// AutoRotate has the kubelet write a new token when 80 % of the present one's
	// life have passed, or after 24 hours, until the Cluster is closed. A minute
	// later it tries again where it could not: see Pod.Freeze.
	AutoRotate bool

	// SubPath mounts the token file by itself, as a volumeMount with a subPath does:
	// what the kubelet writes later never reaches it.
	// https://kubernetes.io/docs/concepts/storage/projected-volumes/
	SubPath bool
}

// Pod is a running pod with a projected token volume and the environment that
// the EKS webhook injects. It is safe for concurrent use.
type Pod struct {
	cluster *Cluster
	account *ServiceAccount
	role    *Role
	opts    PodOptions
	name    string
	uid     string
	node    objectRef
	volume  *volume

	writeMu sync.Mutex // one write of the volume at a time; readers never take it
	frozen  bool       // guarded by writeMu
	subPath string     // the file that is mounted by itself; "" without SubPath

	mu    sync.Mutex
	token string
}

// Pod makes a pod of the service account that is to assume the role, and writes
// its token. The role need not trust the service account.
func (k *Cluster) Pod(sa *ServiceAccount, role *Role, optFns ...func(*PodOptions)) *Pod {
	o := PodOptions{}
	for _, fn := range optFns {
		fn(&o)
	}
	o.TokenLife = cmp.Or(o.TokenLife, defaultTokenLifetime)
	o.Audience = cmp.Or(o.Audience, defaultAudience)
	o.Region = cmp.Or(o.Region, k.region)
	name := strings.TrimRight(sa.name[:min(len(sa.name), 40)], "-.") + "-" + lowerText(10) + "-" + lowerText(5)
	if o.TokenLife < 0 {
		k.check(fmt.Errorf("a token's life of %s: rotate with Expired for an expired token", o.TokenLife))
	}
	p := &Pod{
		cluster: k, account: sa, role: role, opts: o,
		name: name, uid: uuid(),
		node: objectRef{Name: "ip-192-168-0-1." + o.Region + ".compute.internal", UID: uuid()},
	}
	k.mu.Lock()
	k.podRegions = append(k.podRegions, o.Region)
	k.mu.Unlock()
	v, err := newVolume(filepath.Join(k.dir, name, "eks.amazonaws.com", "serviceaccount"))
	k.check(err)
	p.volume = v
	p.Rotate()
	if o.SubPath {
		p.mountSubPath()
	}
	if o.AutoRotate {
		k.kubelets.start(p)
	}
	return p
}

// Name returns the pod's name, made of the service account's.
func (p *Pod) Name() string { return p.name }

// TokenFile returns the path of the token, AWS_WEB_IDENTITY_TOKEN_FILE.
func (p *Pod) TokenFile() string { return cmp.Or(p.subPath, p.volume.path()) }

// RoleARN returns the ARN of the pod's role, AWS_ROLE_ARN.
func (p *Pod) RoleARN() string { return p.role.arn }

// Region returns the pod's region, AWS_REGION.
func (p *Pod) Region() string { return p.opts.Region }

// Token returns what Pod's methods last wrote: the raw token, or the raw bytes
// of a Write, or "" after RemoveToken. With SubPath and after Freeze the file that
// the application reads may be older.
func (p *Pod) Token() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.token
}

// Rotate swaps in a new token, as the kubelet does when 80 % of the old one's life
// have passed. The old token stays good until it expires. Options hold for this
// token only:
//
//	pod.Rotate()                      // a usual token
//	pod.Rotate(irsatest.Expired)      // a broken one
//	pod.Rotate(func(o *irsatest.TokenOptions) { o.Life = 10 * time.Minute })
func (p *Pod) Rotate(optFns ...func(*TokenOptions)) { p.cluster.check(p.rotate(optFns...)) }

func (p *Pod) rotate(optFns ...func(*TokenOptions)) error {
	token, err := p.mint(optFns...)
	if err != nil {
		return err
	}
	return p.update(token, func() error { return p.volume.write([]byte(token)) })
}

// mint makes a token that is bound to the pod.
func (p *Pod) mint(optFns ...func(*TokenOptions)) (string, error) {
	podDefaults := func(o *TokenOptions) {
		o.defaultLifetime, o.Audiences = p.opts.TokenLife, []string{p.opts.Audience}
	}
	bound := p.account.kubernetesClaims()
	bound["node"] = p.node
	bound["pod"] = objectRef{Name: p.name, UID: p.uid}
	return p.account.issuer.mint(p.account, bound, append([]func(*TokenOptions){podDefaults}, optFns...)...)
}

// Write swaps raw in for the token, atomically as the kubelet does. Equal
// content writes nothing.
func (p *Pod) Write(raw []byte) {
	p.cluster.check(p.update(string(raw), func() error { return p.volume.write(raw) }))
}

// WriteInPlace truncates the token file and writes raw into it, so that a
// reader may find it empty or half written. The kubelet never does this.
func (p *Pod) WriteInPlace(raw []byte) {
	p.cluster.check(p.update(string(raw), func() error { return p.volume.writeInPlace(raw) }))
}

// Truncate cuts the token file to its first size bytes, in place, as a full disk or
// a writer that was killed leaves it.
func (p *Pod) Truncate(size int) {
	token := p.Token()
	token = token[:max(0, min(size, len(token)))]
	p.WriteInPlace([]byte(token))
}

// RemoveToken removes the token file and leaves the links to it dangling. The
// next write brings it back.
func (p *Pod) RemoveToken() { p.cluster.check(p.update("", p.volume.remove)) }

// Chmod sets the mode of the token file, now and for later writes: 0644 is usual;
// with 0600 and an owner other than the application's user it reads nothing, as
// without an fsGroup. A test that runs as root can read any file.
func (p *Pod) Chmod(mode os.FileMode) {
	p.writeMu.Lock()
	defer p.writeMu.Unlock()
	if p.frozen {
		return
	}
	err := p.volume.chmod(mode)
	if err == nil && p.subPath != "" {
		err = os.Chmod(p.subPath, mode)
	}
	if err != nil {
		p.cluster.check(fmt.Errorf("changing the mode of the token of pod %s: %w", p.name, err))
	}
}

// Freeze cuts the pod's node off: nothing that is written afterwards reaches the
// volume, neither by the kubelet nor by methods of Pod, until [Pod.Thaw].
func (p *Pod) Freeze() { p.setFrozen(true) }

// Thaw ends Freeze. The next rotation writes a new token, with AutoRotate within a
// minute if it is overdue.
func (p *Pod) Thaw() { p.setFrozen(false) }

func (p *Pod) setFrozen(frozen bool) {
	p.writeMu.Lock()
	defer p.writeMu.Unlock()
	p.frozen = frozen
}

// update runs one change of the volume at a time, as one kubelet does.
func (p *Pod) update(token string, write func() error) error {
	p.writeMu.Lock()
	defer p.writeMu.Unlock()
	if p.frozen {
		return nil
	}
	if err := write(); err != nil {
		return fmt.Errorf("writing the volume of pod %s: %w", p.name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.token = token
	return nil
}

// mountSubPath gives the pod the token file as it is now, at a path of its own.
func (p *Pod) mountSubPath() {
	file := filepath.Join(p.cluster.dir, p.name, "token")
	if err := os.WriteFile(file, []byte(p.Token()), 0o644); err != nil {
		p.cluster.check(fmt.Errorf("mounting the token of pod %s: %w", p.name, err))
	}
	p.subPath = file
}

// Options makes irsa.New give the provider of an application in this pod:
//
//	p, err := irsa.New(pod.Options)
func (p *Pod) Options(o *irsa.Options) {
	o.RoleARN = p.RoleARN()
	o.TokenFile = p.TokenFile()
	o.Region = p.Region()
	o.Endpoint = p.cluster.STS.Endpoint()
	o.HTTPClient = p.cluster.HTTPClient()
}

// memoryEndpoint is where AWS_ENDPOINT_URL_STS leads in memory: Cluster.HTTPClient alone knows
// the name (RFC 2606, section 2).
const memoryEndpoint = "https://sts.irsatest.invalid"

// Environ returns the environment that the EKS webhook injects, as KEY=value in
// its order (amazon-eks-pod-identity-webhook, pkg/handler/handler.go). One variable
// follows that leads the AWS SDKs to the kit, AWS_ENDPOINT_URL_STS. On loopback it is
// [STS.Endpoint]. In memory it names a host that [Cluster.HTTPClient] alone reaches:
// any other client fails, and no token goes to AWS.
func (p *Pod) Environ() []string {
	return []string{
		"AWS_STS_REGIONAL_ENDPOINTS=regional",
		"AWS_DEFAULT_REGION=" + p.opts.Region,
		"AWS_REGION=" + p.opts.Region,
		"AWS_ROLE_ARN=" + p.role.arn,
		"AWS_WEB_IDENTITY_TOKEN_FILE=" + p.TokenFile(),
		"AWS_ENDPOINT_URL_STS=" + cmp.Or(p.cluster.STS.Endpoint(), memoryEndpoint),
	}
}

// Setenv sets Environ for the rest of the test, with t.Setenv: not in parallel
// tests. In memory, whatever reads the environment needs [Cluster.HTTPClient] too; with
// Options.Loopback it needs nothing else. On a Cluster made by [Start], which has no
// test, Setenv panics: use Environ.
func (p *Pod) Setenv() {
	tb := p.cluster.tb
	if tb == nil {
		p.cluster.check(errors.New("Setenv needs a Cluster made by New: use Environ"))
	}
	tb.Helper()
	for _, variable := range p.Environ() {
		key, value, _ := strings.Cut(variable, "=")
		tb.Setenv(key, value)
	}
}
