package irsatest

import (
	"fmt"
	"path"
	"regexp"
	"time"
)

// ServiceAccount is a Kubernetes service account. Make one with
// [Cluster.ServiceAccount].
type ServiceAccount struct {
	namespace, name, uid string
}

// ServiceAccount makes a service account with a uid of its own. Both names have
// to be valid in Kubernetes: lower case letters, digits and "-", in name also ".".
func (k *Cluster) ServiceAccount(namespace, name string) *ServiceAccount {
	if !regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`).MatchString(namespace) {
		k.check(fmt.Errorf("%q is not a valid name of a namespace", namespace))
	}
	if !regexp.MustCompile(`^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$`).MatchString(name) {
		k.check(fmt.Errorf("%q is not a valid name of a service account", name))
	}
	return &ServiceAccount{namespace: namespace, name: name, uid: uuid()}
}

// subject is the sub claim of the service account's tokens.
func (sa *ServiceAccount) subject() string {
	return "system:serviceaccount:" + sa.namespace + ":" + sa.name
}

// Role is an IAM role of the Cluster's account. Make one with [Cluster.Role].
type Role struct {
	arn        string
	name       string // without the path
	id         string
	maxSession time.Duration
	trusted    map[string]bool // subjects
}

// RoleOption changes a role that [Cluster.Role] makes.
type RoleOption func(*Role)

// Trust lets the service accounts assume the role, as a trust policy with
// StringEquals on the subject and the audience "sts.amazonaws.com" does.
func Trust(sa ...*ServiceAccount) RoleOption {
	return func(r *Role) {
		for _, a := range sa {
			r.trusted[a.subject()] = true
		}
	}
}

// MaxSessionDuration lets sessions of the role last so long, where an hour is
// IAM's default: up to 12 hours.
func MaxSessionDuration(d time.Duration) RoleOption {
	return func(r *Role) { r.maxSession = d }
}

// Role makes an IAM role; name may have a path ("team/reader"). A role without
// [Trust] trusts nobody, and without [MaxSessionDuration] its sessions last an
// hour at most. A role of the same name replaces the earlier one.
func (k *Cluster) Role(name string, optFns ...RoleOption) *Role {
	if !regexp.MustCompile(`^([\w+=,.@-]+/)*[\w+=,.@-]{1,64}$`).MatchString(name) {
		k.check(fmt.Errorf("%q is not a valid name of an IAM role", name))
	}
	r := &Role{
		arn:        "arn:" + partition(k.region) + ":iam::" + k.accountID + ":role/" + name,
		name:       path.Base(name),
		id:         "AROA" + base32Text(17),
		maxSession: time.Hour,
		trusted:    map[string]bool{},
	}
	for _, fn := range optFns {
		fn(r)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.roles[r.arn] = r
	return r
}

// ARN returns the role's ARN: arn:aws:iam::<account>:role/<name>.
func (r *Role) ARN() string { return r.arn }

// role finds a role by its ARN, or returns nil.
func (k *Cluster) role(arn string) *Role {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.roles[arn]
}
