package manifests

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

const (
	roleARN  = "eks.amazonaws.com/role-arn"
	audience = "sts.amazonaws.com"
)

// checkRoles checks that each pod can assume its role, and that others cannot.
func checkRoles(m manifests) error {
	var f faults
	f.require(len(m.workloads) > 0, "no pod")
	for _, w := range m.workloads {
		i := slices.IndexFunc(m.accounts, func(sa corev1.ServiceAccount) bool {
			return sa.Name == w.pod.Spec.ServiceAccountName && sa.Namespace == w.meta.Namespace
		})
		if i < 0 {
			f.require(false, "%s: no service account %s in its namespace", w.name, w.pod.Spec.ServiceAccountName)
			continue
		}
		if err := checkTrust(m.trustPolicy, m.accounts[i]); err != nil {
			f = append(f, fmt.Errorf("%s: %w", w.name, err))
		}
	}
	return errors.Join(f...)
}

// checkTrust checks that the policy trusts the service account and no other.
func checkTrust(document []byte, sa corev1.ServiceAccount) error {
	policy, err := trustpolicy.Parse(document)
	if err != nil {
		return err
	}
	arn, account, issuer, err := providerOf(document)
	if err != nil {
		return err
	}
	evaluate := func(namespace, name, aud string) trustpolicy.Decision {
		return policy.Evaluate(trustpolicy.Request{
			Action:    "sts:AssumeRoleWithWebIdentity",
			Principal: trustpolicy.Principal{Federated: arn},
			Context: map[string][]string{
				issuer + ":sub": {"system:serviceaccount:" + namespace + ":" + name},
				issuer + ":aud": {aud},
			},
		})
	}
	var f faults
	role := sa.Annotations[roleARN]
	f.require(strings.HasPrefix(role, "arn:aws:iam::"+account+":role/"), "role %q is not in the account of %q", role, arn)
	decision := evaluate(sa.Namespace, sa.Name, audience)
	f.require(decision.Allowed, "the role does not trust the service account: %s", decision)
	f.require(!evaluate(sa.Namespace, sa.Name+"-other", audience).Allowed, "the role trusts another service account")
	f.require(!evaluate(sa.Namespace, "default", audience).Allowed, "the role trusts the default service account")
	f.require(!evaluate(sa.Namespace+"-other", sa.Name, audience).Allowed, "the role trusts another namespace")
	f.require(!evaluate(sa.Namespace, sa.Name, "https://kubernetes.default.svc").Allowed, "the role trusts another audience")
	return errors.Join(f...)
}

// provider matches the ARN of an OIDC provider: its account and its issuer.
var provider = regexp.MustCompile(`^arn:aws:iam::(\d{12}):oidc-provider/(.+)$`)

// providerOf returns the OIDC provider that a policy of one statement trusts.
func providerOf(document []byte) (arn, account, issuer string, err error) {
	var policy struct {
		Statement []struct{ Principal struct{ Federated string } }
	}
	if err := json.Unmarshal(document, &policy); err != nil {
		return "", "", "", err
	}
	if len(policy.Statement) != 1 {
		return "", "", "", fmt.Errorf("the policy has %d statements, not one", len(policy.Statement))
	}
	arn = policy.Statement[0].Principal.Federated
	match := provider.FindStringSubmatch(arn)
	if match == nil {
		return "", "", "", fmt.Errorf("%q is not an OIDC provider", arn)
	}
	return arn, match[1], match[2], nil
}

// checkPermissions checks that a permissions policy allows only named actions on named resources.
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
	f.require(policy.Version == "2012-10-17" && len(policy.Statement) > 0, "no version, or no statement")
	for _, s := range policy.Statement {
		f.require(s.Effect == "Allow", "effect %q", s.Effect)
		actions, resources := texts(s.Action), texts(s.Resource)
		f.require(len(actions) > 0 && !strings.Contains(strings.Join(actions, ""), "*"), "wildcard in actions %q", actions)
		f.require(len(resources) > 0, "no resource")
		for _, r := range resources {
			f.require(strings.HasPrefix(r, "arn:aws:") && !strings.HasSuffix(r, ":*"), "wildcard resource %q", r)
		}
	}
	return errors.Join(f...)
}

// texts returns a JSON string or list of strings as a list.
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
