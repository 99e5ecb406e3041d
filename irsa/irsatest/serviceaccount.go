package irsatest

import (
	"fmt"
	"regexp"
)

var (
	namespaceName      = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	serviceAccountName = regexp.MustCompile(`^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$`)
)

// ServiceAccount is a Kubernetes service account, created with
// [Cluster.ServiceAccount] or [Issuer.ServiceAccount]. It is immutable.
type ServiceAccount struct {
	issuer               *Issuer
	namespace, name, uid string
}

// ServiceAccount creates a service account with a new UID. [Cluster.Issuer] signs its tokens. Both
// names must be valid in Kubernetes: lowercase letters, digits and "-", and in the service account's
// name also ".".
func (k *Cluster) ServiceAccount(namespace, name string) *ServiceAccount {
	return k.Issuer.ServiceAccount(namespace, name)
}

// ServiceAccount creates a service account in the issuer's Kubernetes cluster. The rules of
// [Cluster.ServiceAccount] apply.
func (i *Issuer) ServiceAccount(namespace, name string) *ServiceAccount {
	if !namespaceName.MatchString(namespace) {
		i.cluster.check(fmt.Errorf("%q is not a valid name of a namespace", namespace))
	}
	if !serviceAccountName.MatchString(name) {
		i.cluster.check(fmt.Errorf("%q is not a valid name of a service account", name))
	}
	return &ServiceAccount{issuer: i, namespace: namespace, name: name, uid: uuid()}
}

// Subject returns the sub claim of the service account's tokens:
// system:serviceaccount:<namespace>:<name>.
func (sa *ServiceAccount) Subject() string {
	return "system:serviceaccount:" + sa.namespace + ":" + sa.name
}

// Token returns a new token that is not bound to a pod, like the Kubernetes TokenRequest API. It does
// not write the token to a file.
func (sa *ServiceAccount) Token(optFns ...func(*TokenOptions)) string {
	token, err := sa.issuer.mint(sa, sa.kubernetesClaims(), optFns...)
	sa.issuer.cluster.check(err)
	return token
}

// kubernetesClaims returns the kubernetes.io claims of an unbound token.
func (sa *ServiceAccount) kubernetesClaims() map[string]any {
	return map[string]any{
		"namespace":      sa.namespace,
		"serviceaccount": objectRef{Name: sa.name, UID: sa.uid},
	}
}
