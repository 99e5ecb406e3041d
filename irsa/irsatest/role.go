package irsatest

import (
	"fmt"
	"path"
	"regexp"
	"sync"
	"time"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

// Role is an IAM role. Make one with [Cluster.Role]. It is safe for concurrent use;
// a change applies to the calls that arrive after it.
type Role struct {
	cluster    *Cluster
	arn        string
	name       string // without the path
	account    string
	id         string
	maxSession time.Duration

	mu       sync.Mutex
	document string // the trust policy; "" for none
	policy   *trustpolicy.Policy
	faults   faults
	latency  time.Duration
}

// RoleOption changes a role that [Cluster.Role] makes: [Trust], [TrustPolicy],
// [MaxSessionDuration] or [InAccount].
type RoleOption func(*roleOptions)

type roleOptions struct {
	account    string
	maxSession time.Duration
	document   *string
	trusted    []Principal
}

// MaxSessionDuration lets sessions of the role last so long, where an hour is
// IAM's default: up to 12 hours. It does not lift the hour that STS grants at most
// where the session of one role assumes another.
func MaxSessionDuration(d time.Duration) RoleOption {
	return func(o *roleOptions) { o.maxSession = d }
}

// InAccount puts the role into another AWS account of the same partition; id has
// twelve digits. An account that is to trust service accounts has to know their
// issuer: see [Cluster.RegisterIssuer].
func InAccount(id string) RoleOption {
	return func(o *roleOptions) { o.account = id }
}

// Role makes an IAM role; name may have a path ("team/reader"). A role with
// neither [Trust] nor [TrustPolicy] trusts nobody, and without
// [MaxSessionDuration] its sessions last an hour at most. What the role itself
// allows is not the kit's subject: a session of any role may assume each role
// whose trust policy lets it. A role of the same name replaces the earlier one.
func (k *Cluster) Role(name string, optFns ...RoleOption) *Role {
	if !regexp.MustCompile(`^([\w+=,.@-]+/)*[\w+=,.@-]{1,64}$`).MatchString(name) {
		k.check(fmt.Errorf("%q is not a valid name of an IAM role", name))
	}
	o := roleOptions{account: k.accountID, maxSession: time.Hour}
	for _, fn := range optFns {
		fn(&o)
	}
	k.check(checkAccount(o.account))
	if o.maxSession < time.Hour || o.maxSession > 12*time.Hour {
		k.check(fmt.Errorf("role %s: the maximum session duration is 1 to 12 hours, not %s", name, o.maxSession))
	}
	r := &Role{
		cluster:    k,
		arn:        "arn:" + partition(k.region) + ":iam::" + o.account + ":role/" + name,
		name:       path.Base(name),
		account:    o.account,
		id:         "AROA" + base32Text(17),
		maxSession: o.maxSession,
	}
	switch {
	case len(o.trusted) > 0 && o.document != nil:
		k.check(fmt.Errorf("role %s: either Trust or TrustPolicy", name))
	case len(o.trusted) > 0:
		r.SetTrustPolicy(r.trustDocument(o.trusted))
	case o.document != nil:
		r.SetTrustPolicy(*o.document)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.roles[r.arn] = r
	return r
}

// ARN returns the role's ARN: arn:aws:iam::<account>:role/<name>.
func (r *Role) ARN() string { return r.arn }

// TrustPolicy returns the role's trust policy, "" if it has none.
func (r *Role) TrustPolicy() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.document
}

// SetTrustPolicy replaces the role's trust policy; see the function [TrustPolicy].
func (r *Role) SetTrustPolicy(document string) {
	policy, err := trustpolicy.Parse([]byte(document))
	if err == nil {
		err = checkConditionKeys(policy)
	}
	if err != nil {
		r.cluster.check(fmt.Errorf("role %s: %w", r.arn, err))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.document, r.policy = document, policy
}

// Fail lets the next n calls that ask for this role meet the fault; n < 0 is all of
// them until [Role.Recover] or [STS.Recover]. It goes before the fault of [STS.Fail] and replaces that
// of an earlier Fail of the role.
func (r *Role) Fail(fault Fault, n int) {
	r.cluster.checkFault(fault)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = faults{fault, n}
}

// SetLatency lets replies to calls that ask for this role wait for d, instead of for
// what [STS.SetLatency] says; zero is as STS.SetLatency says.
func (r *Role) SetLatency(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latency = d
}

// Recover ends what [Role.Fail] set. A call that hangs goes on hanging: see
// [STS.Recover].
func (r *Role) Recover() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = faults{}
}

// nextFault returns what a call that asks for the role meets.
func (r *Role) nextFault() (fault Fault, latency time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.faults.next(), r.latency
}

func (k *Cluster) recoverRoles() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.roles {
		r.Recover()
	}
}

// role finds a role by its ARN, or returns nil.
func (k *Cluster) role(arn string) *Role {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.roles[arn]
}

func checkAccount(id string) error {
	if !regexp.MustCompile(`^\d{12}$`).MatchString(id) {
		return fmt.Errorf("%q is not an AWS account ID: it has twelve digits", id)
	}
	return nil
}
