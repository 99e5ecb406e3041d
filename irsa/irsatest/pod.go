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

// defaultTokenLifetime is the token lifetime requested by the EKS webhook.
const defaultTokenLifetime = 24 * time.Hour

// defaultAudience is the audience requested by the EKS webhook in every partition, and the default
// client ID of an OIDC provider.
const defaultAudience = "sts.amazonaws.com"

// PodOptions configures [Cluster.Pod]. The zero value configures a pod as the EKS webhook does.
type PodOptions struct {
	// TokenLifetime is the lifetime of the pod's tokens. If zero, 24 hours is used. Times in tokens are
	// whole seconds. Unlike Kubernetes, the kit accepts lifetimes below 600 seconds.
	TokenLifetime time.Duration

	// Audience is the token's audience. If empty, "sts.amazonaws.com" is used.
	Audience string

	// Region is the AWS region in the pod's environment. If empty, the Cluster's region is used. An
	// invalid region name ends the test.
	Region string

	// AutoRotate, if true, makes the kubelet write a new token after 80% of the current token's
	// lifetime, but after at most 24 hours, until the Cluster is closed. While the pod is frozen, it
	// retries every minute. See Pod.Freeze.
	AutoRotate bool

	// SubPath, if true, mounts only the token file, like a volumeMount with a subPath, so that the file
	// never receives updates from the kubelet.
	// https://kubernetes.io/docs/concepts/storage/projected-volumes/
	SubPath bool
}

// Pod is a running pod with a projected token volume and the environment injected by the EKS webhook.
// It is safe for concurrent use.
type Pod struct {
	cluster *Cluster
	account *ServiceAccount
	role    *Role
	opts    PodOptions
	name    string
	uid     string
	node    objectRef
	volume  *volume

	writeMu sync.Mutex // serializes writes to the volume; readers do not lock it
	frozen  bool       // guarded by writeMu
	subPath string     // path of the separately mounted token file; "" without SubPath

	mu    sync.Mutex
	token string
}

// Pod creates a pod that runs as the service account and is configured to assume the role, and writes
// its token. The role does not need to trust the service account.
func (k *Cluster) Pod(sa *ServiceAccount, role *Role, optFns ...func(*PodOptions)) *Pod {
	k.checkOwn(sa)
	k.checkOwn(role)
	o := PodOptions{}
	for _, fn := range optFns {
		fn(&o)
	}
	o.TokenLifetime = cmp.Or(o.TokenLifetime, defaultTokenLifetime)
	o.Audience = cmp.Or(o.Audience, defaultAudience)
	o.Region = cmp.Or(o.Region, k.region)
	k.check(checkRegion(o.Region))
	name := strings.TrimRight(sa.name[:min(len(sa.name), 40)], "-.") + "-" + lowerText(10) + "-" + lowerText(5)
	if o.TokenLifetime < 0 {
		k.check(fmt.Errorf("token lifetime %s is not positive: for an expired token, use Rotate with Invalid(\"expired\")", o.TokenLifetime))
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

// Name returns the pod's name, which is derived from the service account's name.
func (p *Pod) Name() string { return p.name }

// TokenFile returns the path of the token file, AWS_WEB_IDENTITY_TOKEN_FILE.
func (p *Pod) TokenFile() string { return cmp.Or(p.subPath, p.volume.path()) }

// RoleARN returns the ARN of the pod's role, AWS_ROLE_ARN.
func (p *Pod) RoleARN() string { return p.role.arn }

// Region returns the pod's region, AWS_REGION.
func (p *Pod) Region() string { return p.opts.Region }

// Token returns what was last written to the token file, or "" after RemoveToken. With SubPath, the
// application may still read an older token.
func (p *Pod) Token() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.token
}

// Rotate atomically replaces the token with a new one, as the kubelet does after 80% of the
// old token's lifetime. The old token stays valid until it expires. The options apply only to
// this token:
//
//	pod.Rotate()                            // a valid token
//	pod.Rotate(irsatest.Invalid("expired")) // an expired token
//	pod.Rotate(func(o *irsatest.TokenOptions) { o.Lifetime = 10 * time.Minute })
func (p *Pod) Rotate(optFns ...func(*TokenOptions)) { p.cluster.check(p.rotate(optFns...)) }

func (p *Pod) rotate(optFns ...func(*TokenOptions)) error {
	token, err := p.mint(optFns...)
	if err != nil {
		return err
	}
	return p.update(token, func() error { return p.volume.write([]byte(token)) })
}

// mint returns a new token bound to the pod.
func (p *Pod) mint(optFns ...func(*TokenOptions)) (string, error) {
	podDefaults := func(o *TokenOptions) {
		o.defaultLifetime, o.Audiences = p.opts.TokenLifetime, []string{p.opts.Audience}
	}
	bound := p.account.kubernetesClaims()
	bound["node"] = p.node
	bound["pod"] = objectRef{Name: p.name, UID: p.uid}
	return p.account.issuer.mint(p.account, bound, append([]func(*TokenOptions){podDefaults}, optFns...)...)
}

// Write atomically replaces the token with raw, as the kubelet does. It is a no-op if the content is
// unchanged.
func (p *Pod) Write(raw []byte) {
	p.cluster.check(p.update(string(raw), func() error { return p.volume.write(raw) }))
}

// WriteInPlace truncates the token file and writes raw to it, so that a reader may see an empty or
// partially written file. The kubelet never does this.
func (p *Pod) WriteInPlace(raw []byte) {
	p.cluster.check(p.update(string(raw), func() error { return p.volume.writeInPlace(raw) }))
}

// Truncate truncates the token file in place to size bytes, as if the disk was full or the writer was
// killed.
func (p *Pod) Truncate(size int) {
	token := p.Token()
	token = token[:max(0, min(size, len(token)))]
	p.WriteInPlace([]byte(token))
}

// RemoveToken removes the token file, leaving dangling links to it. The next write restores it.
func (p *Pod) RemoveToken() { p.cluster.check(p.update("", p.volume.remove)) }

// Chmod sets the mode of the current token file and of those written later. The initial mode is 0644.
// With 0600, an application that runs as another user cannot read the file, as in a pod without an
// fsGroup whose containers all run as one user. A test that runs as root can read any file.
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

// Freeze simulates a pod on a disconnected node. Until [Pod.Thaw], writes by the kubelet and by the
// methods of Pod do not change the volume.
func (p *Pod) Freeze() { p.setFrozen(true) }

// Thaw ends Freeze. The next rotation writes a new token. With AutoRotate, an overdue rotation
// happens within a minute.
func (p *Pod) Thaw() { p.setFrozen(false) }

func (p *Pod) setFrozen(frozen bool) {
	p.writeMu.Lock()
	defer p.writeMu.Unlock()
	p.frozen = frozen
}

// update changes the volume with write and records the token, unless the pod is frozen. As in a
// single kubelet, updates are serialized.
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

// mountSubPath copies the current token file to a separate path.
func (p *Pod) mountSubPath() {
	file := filepath.Join(p.cluster.dir, p.name, "token")
	err := os.WriteFile(file, []byte(p.Token()), 0o644)
	if err == nil {
		err = os.Chmod(file, 0o644) // regardless of the umask
	}
	if err != nil {
		p.cluster.check(fmt.Errorf("mounting the token of pod %s: %w", p.name, err))
	}
	p.subPath = file
}

// Options configures irsa.New for an application in this pod:
//
//	p, err := irsa.New(pod.Options)
//
// It sets RoleARN, TokenFile, Region and HTTPClient, and on loopback also Endpoint. In memory, only
// this HTTPClient reaches the kit. If you replace it, requests go to AWS, which rejects the kit's
// token. Other variables that irsa.New reads, such as AWS_USE_FIPS_ENDPOINT and
// AWS_ROLE_SESSION_NAME, still apply unless [Pod.Setenv] unsets them.
func (p *Pod) Options(o *irsa.Options) {
	o.RoleARN = p.RoleARN()
	o.TokenFile = p.TokenFile()
	o.Region = p.Region()
	o.Endpoint = p.cluster.STS.Endpoint()
	o.HTTPClient = p.cluster.HTTPClient()
}

// memoryEndpoint is AWS_ENDPOINT_URL_STS in memory. Only Cluster.HTTPClient can reach the host (RFC
// 2606, section 2).
const memoryEndpoint = "https://sts.irsatest.invalid"

// Environ returns the environment injected by the EKS webhook, as KEY=value in the webhook's order
// (amazon-eks-pod-identity-webhook, pkg/handler/handler.go). To direct the AWS SDKs to the kit, it
// adds AWS_ENDPOINT_URL_STS, which is [STS.Endpoint] on loopback. In memory, it names a host that
// only [Cluster.HTTPClient] can reach, so that any other client fails without sending a token to AWS.
// Environ also adds AWS_IGNORE_CONFIGURED_ENDPOINT_URLS, so that a setting on the developer's machine
// does not override the endpoint.
func (p *Pod) Environ() []string {
	return []string{
		"AWS_STS_REGIONAL_ENDPOINTS=regional",
		"AWS_DEFAULT_REGION=" + p.opts.Region,
		"AWS_REGION=" + p.opts.Region,
		"AWS_ROLE_ARN=" + p.role.arn,
		"AWS_WEB_IDENTITY_TOKEN_FILE=" + p.TokenFile(),
		"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=false",
		"AWS_ENDPOINT_URL_STS=" + cmp.Or(p.cluster.STS.Endpoint(), memoryEndpoint),
	}
}

// Setenv sets the variables of Environ for the rest of the test. It uses t.Setenv, so it cannot be
// used in parallel tests. All other variables that begin with "AWS_" are unset, because some of them,
// such as AWS_PROFILE and AWS_ACCESS_KEY_ID on a developer's machine, take precedence over the token
// in the AWS SDKs. In memory, code that reads the environment also needs [Cluster.HTTPClient], but
// with Options.Loopback the environment is sufficient. If the Cluster was created by [Start], Setenv
// panics. Use Environ instead.
func (p *Pod) Setenv() {
	tb := p.cluster.tb
	if tb == nil {
		p.cluster.check(errors.New("Setenv needs a Cluster made by New: use Environ"))
	}
	tb.Helper()
	for _, variable := range os.Environ() {
		if key, value, _ := strings.Cut(variable, "="); strings.HasPrefix(key, "AWS_") {
			tb.Setenv(key, value) // restores it after the test
			p.cluster.check(os.Unsetenv(key))
		}
	}
	for _, variable := range p.Environ() {
		key, value, _ := strings.Cut(variable, "=")
		tb.Setenv(key, value)
	}
}
