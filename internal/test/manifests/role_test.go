package manifests

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

const (
	roleARN  = "eks.amazonaws.com/role-arn"
	audience = "sts.amazonaws.com"
)

// checkRoles returns what keeps the pods from their roles, or lets others have them.
func checkRoles(m manifests) error {
	var f faults
	f.require(len(m.workloads) > 0, "there is no pod")
	for _, w := range m.workloads {
		i := slices.IndexFunc(m.accounts, func(sa corev1.ServiceAccount) bool {
			return sa.Name == w.pod.Spec.ServiceAccountName && sa.Namespace == w.meta.Namespace
		})
		if i < 0 {
			f.require(false, "%s: there is no service account %s in its namespace", w.name, w.pod.Spec.ServiceAccountName)
			continue
		}
		if err := checkTrust(m.trustPolicy, m.accounts[i]); err != nil {
			f = append(f, fmt.Errorf("%s: %w", w.name, err))
		}
	}
	return errors.Join(f...)
}

// checkTrust returns an error unless the policy lets in this service account, and no other.
func checkTrust(document []byte, sa corev1.ServiceAccount) error {
	policy, err := trustpolicy.Parse(document)
	if err != nil {
		return err
	}
	provider, issuer, err := providerOf(document)
	if err != nil {
		return err
	}
	ask := func(namespace, name, aud string) trustpolicy.Decision {
		return policy.Evaluate(trustpolicy.Request{
			Action:    "sts:AssumeRoleWithWebIdentity",
			Principal: trustpolicy.Principal{Federated: provider},
			Context: map[string][]string{
				issuer + ":sub": {"system:serviceaccount:" + namespace + ":" + name},
				issuer + ":aud": {aud},
			},
		})
	}
	var f faults
	role := sa.Annotations[roleARN]
	f.require(strings.HasPrefix(role, "arn:aws:iam::"+account(provider)+":role/"), "the role %q is not of the account of %q", role, provider)
	decision := ask(sa.Namespace, sa.Name, audience)
	f.require(decision.Allowed(), "the role does not trust the service account: %s", decision)
	f.require(!ask(sa.Namespace, sa.Name+"-other", audience).Allowed(), "the role trusts another service account")
	f.require(!ask(sa.Namespace, "default", audience).Allowed(), "the role trusts the default service account")
	f.require(!ask(sa.Namespace+"-other", sa.Name, audience).Allowed(), "the role trusts another namespace")
	f.require(!ask(sa.Namespace, sa.Name, "https://kubernetes.default.svc").Allowed(), "the role trusts another audience")
	return errors.Join(f...)
}

// providerOf returns the OIDC provider that a policy of one statement trusts, and its issuer.
func providerOf(document []byte) (arn, issuer string, err error) {
	var policy struct {
		Statement []struct{ Principal struct{ Federated string } }
	}
	if err := json.Unmarshal(document, &policy); err != nil {
		return "", "", err
	}
	if len(policy.Statement) != 1 {
		return "", "", errors.New("the policy has more than one statement, or none")
	}
	arn = policy.Statement[0].Principal.Federated
	_, issuer, found := strings.Cut(arn, ":oidc-provider/")
	if !found {
		return "", "", fmt.Errorf("%q is no OIDC provider", arn)
	}
	return arn, issuer, nil
}

// account returns the account of an ARN.
func account(arn string) string {
	fields := strings.SplitN(arn, ":", 6)
	if len(fields) < 6 {
		return ""
	}
	return fields[4]
}

// checkPermissions returns an error for a permissions policy that allows more than some
// actions on some resources.
func checkPermissions(document string) error {
	var policy struct {
		Version   string
		Statement []struct {
			Effect   string
			Action   any
			Resource any
		}
	}
	decoder := json.NewDecoder(strings.NewReader(document))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&policy); err != nil {
		return err
	}
	var f faults
	f.require(policy.Version == "2012-10-17" && len(policy.Statement) > 0, "it has no version, or no statement")
	for _, s := range policy.Statement {
		f.require(s.Effect == "Allow", "its effect is %q", s.Effect)
		actions, resources := texts(s.Action), texts(s.Resource)
		f.require(len(actions) > 0 && !strings.Contains(strings.Join(actions, ""), "*"), "it allows all of some actions: %q", actions)
		f.require(len(resources) > 0, "it names no resource")
		for _, r := range resources {
			f.require(strings.HasPrefix(r, "arn:aws:") && !strings.HasSuffix(r, ":*"), "it allows all of %q", r)
		}
	}
	return errors.Join(f...)
}

// texts returns the strings of what may be one of them.
func texts(value any) []string {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, each := range v {
			all = append(all, texts(each)...)
		}
		return all
	}
	return nil
}
