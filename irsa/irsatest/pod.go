package irsatest

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/irsakit/irsakit/irsa"
)

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
	node    reference
	volume  volume

	writing sync.Mutex // one write of the volume at a time; readers never take it

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
	o.TokenLife = cmp.Or(o.TokenLife, 24*time.Hour)
	o.Audience = cmp.Or(o.Audience, defaultAudience)
	o.Region = cmp.Or(o.Region, k.region)
	name := strings.TrimRight(sa.name[:min(len(sa.name), 40)], "-.") + "-" + lowerText(10) + "-" + lowerText(5)
	p := &Pod{
		cluster: k, account: sa, role: role, opts: o,
		name: name, uid: uuid(),
		node: reference{Name: "ip-192-168-0-1." + o.Region + ".compute.internal", UID: uuid()},
	}
	v, err := newVolume(filepath.Join(k.dir, name, "eks.amazonaws.com", "serviceaccount"))
	k.check(err)
	p.volume = v
	p.Rotate()
	return p
}

// Name returns the pod's name, made of the service account's.
func (p *Pod) Name() string { return p.name }

// TokenFile returns the path of the token, AWS_WEB_IDENTITY_TOKEN_FILE.
func (p *Pod) TokenFile() string { return p.volume.path() }

// RoleARN returns the ARN of the pod's role, AWS_ROLE_ARN.
func (p *Pod) RoleARN() string { return p.role.arn }

// Region returns the pod's region, AWS_REGION.
func (p *Pod) Region() string { return p.opts.Region }

// Token returns what Pod's methods last wrote: the raw token, or the raw bytes
// of a Write, or "" after RemoveToken.
func (p *Pod) Token() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.token
}

// Rotate swaps in a new token with the usual life, as the kubelet does when 80 %
// of the old one's life have passed. The old token stays good until it expires.
func (p *Pod) Rotate() { p.RotateWith(p.opts.TokenLife) }

// RotateWith swaps in a new token that expires life from now, for this once.
// With zero or less the token has already expired, by as much.
func (p *Pod) RotateWith(life time.Duration) {
	token, err := p.mint(life)
	p.cluster.check(err)
	p.Write([]byte(token))
}

// Write swaps raw in for the token, atomically as the kubelet does. Equal
// content writes nothing.
func (p *Pod) Write(raw []byte) { p.change(string(raw), func() error { return p.volume.write(raw) }) }

// WriteInPlace truncates the token file and writes raw into it, so that a
// reader may find it empty or half written. The kubelet never does this.
func (p *Pod) WriteInPlace(raw []byte) {
	p.change(string(raw), func() error { return p.volume.writeInPlace(raw) })
}

// RemoveToken removes the token file and leaves the links to it dangling. The
// next write brings it back.
func (p *Pod) RemoveToken() { p.change("", p.volume.remove) }

// change runs one change of the volume at a time, as one kubelet does.
func (p *Pod) change(token string, write func() error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	if err := write(); err != nil {
		p.cluster.check(fmt.Errorf("writing the volume of pod %s: %w", p.name, err))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.token = token
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

// Environ returns the environment that the EKS webhook injects, as KEY=value in
// its order (amazon-eks-pod-identity-webhook, pkg/handler/handler.go); on
// loopback AWS_ENDPOINT_URL_STS follows, which leads the AWS SDKs to the kit.
func (p *Pod) Environ() []string {
	env := []string{
		"AWS_STS_REGIONAL_ENDPOINTS=regional",
		"AWS_DEFAULT_REGION=" + p.opts.Region,
		"AWS_REGION=" + p.opts.Region,
		"AWS_ROLE_ARN=" + p.role.arn,
		"AWS_WEB_IDENTITY_TOKEN_FILE=" + p.TokenFile(),
	}
	if endpoint := p.cluster.STS.Endpoint(); endpoint != "" {
		env = append(env, "AWS_ENDPOINT_URL_STS="+endpoint)
	}
	return env
}

// Setenv sets Environ for the rest of the test, with t.Setenv: not in parallel
// tests. On a Cluster made by [Start], which has no test, it panics; use Environ.
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
