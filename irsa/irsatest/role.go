package irsatest

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

var (
	roleName  = regexp.MustCompile(`^([\w+=,.@-]+/)*[\w+=,.@-]{1,64}$`) // with its path
	accountID = regexp.MustCompile(`^\d{12}$`)
)

// Role is an IAM role, created with [Cluster.Role]. It is safe for concurrent use. Changes apply to
// calls that arrive afterward.
type Role struct {
	cluster    *Cluster
	arn        string
	name       string // without the path
	account    string
	id         string
	maxSession time.Duration

	mu       sync.Mutex
	document string // the trust policy, or "" if none
	policy   *trustpolicy.Policy
	faults   faults
	latency  time.Duration
}

// RoleOption configures a role created by [Cluster.Role]. It is [Trust], [TrustPolicy],
// [MaxSessionDuration] or [InAccount].
type RoleOption func(*roleOptions)

type roleOptions struct {
	account    string
	maxSession time.Duration
	document   *string
	trusted    []Principal
}

// MaxSessionDuration sets the maximum duration of the role's sessions, from 1 to 12 hours. As in IAM,
// the default is one hour. Role chains, in which a role's session assumes another role, are always
// limited to one hour.
func MaxSessionDuration(d time.Duration) RoleOption {
	return func(o *roleOptions) { o.maxSession = d }
}

// InAccount puts the role into another AWS account of the same partition, given by its twelve-digit
// ID. Service accounts can assume the role only if their issuer is registered in that account. See
// [Cluster.RegisterIssuer].
func InAccount(id string) RoleOption {
	return func(o *roleOptions) { o.account = id }
}

// Role creates an IAM role, replacing any earlier role with the same ARN. Its name may contain a path
// ("team/reader"). As in IAM, an account cannot have names that differ only in path or case. Without
// [Trust] or [TrustPolicy], the role does not trust any principal, and without [MaxSessionDuration],
// its sessions last at most one hour.
//
// The kit has no permission policies, so a session of any role may assume every role whose trust
// policy allows it.
func (k *Cluster) Role(name string, optFns ...RoleOption) *Role {
	if !roleName.MatchString(name) {
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
		k.check(fmt.Errorf("role %s: set either Trust or TrustPolicy, not both", name))
	case len(o.trusted) > 0:
		r.SetTrustPolicy(r.trustDocument(o.trusted))
	case o.document != nil:
		r.SetTrustPolicy(*o.document)
	}
	k.check(k.addRole(r))
	return r
}

// addRole adds the role. It returns an error if IAM would reject its name. Names must be unique in an
// account, regardless of path and case.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
func (k *Cluster) addRole(r *Role) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	name := r.account + "/" + strings.ToLower(r.name)
	if arn, ok := k.roleNames[name]; ok && arn != r.arn {
		return fmt.Errorf("role %s: the account has %s, and names must differ by more than path and case", r.arn, arn)
	}
	k.roles[r.arn], k.roleNames[name] = r, r.arn
	return nil
}

// ARN returns the role's ARN: arn:aws:iam::<account>:role/<name>.
func (r *Role) ARN() string { return r.arn }

// TrustPolicy returns the role's trust policy, or "" if it has none.
func (r *Role) TrustPolicy() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.document
}

// SetTrustPolicy replaces the role's trust policy. See the function [TrustPolicy].
func (r *Role) SetTrustPolicy(document string) {
	policy, err := trustpolicy.Parse([]byte(document))
	if err == nil {
		err = checkConditions(policy)
	}
	if err != nil {
		r.cluster.check(fmt.Errorf("role %s: %w", r.arn, err))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.document, r.policy = document, policy
}

// Fail injects the fault into the next n calls that request this role. If n < 0, it affects all such
// calls until [Role.Recover] or [STS.Recover]. It takes precedence over the fault of [STS.Fail], and
// replaces any fault of an earlier Fail on this role.
func (r *Role) Fail(fault Fault, n int) {
	r.cluster.checkFault(fault)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = faults{fault, n}
}

// SetLatency delays responses to calls that request this role by d, instead of the latency set by
// [STS.SetLatency]. Zero restores the latency of the STS.
func (r *Role) SetLatency(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latency = d
}

// Recover ends the fault of [Role.Fail]. It does not resume hanging calls. For that, see
// [STS.Recover].
func (r *Role) Recover() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = faults{}
}

// nextFault returns the fault and latency for the next call that requests the role.
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

// role returns the role with the given ARN, or nil if there is none.
func (k *Cluster) role(arn string) *Role {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.roles[arn]
}

func checkAccount(id string) error {
	if !accountID.MatchString(id) {
		return fmt.Errorf("%q is not an AWS account ID: it has twelve digits", id)
	}
	return nil
}
