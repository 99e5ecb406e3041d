package trustpolicy

import (
	"cmp"
	"slices"
	"strings"
)

// podIdentity is the principal in trust policies for EKS Pod Identity.
// https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html
const podIdentity = "pods.eks.amazonaws.com"

// principalAdvice returns advice about a principal in the policy that is similar to r.
func principalAdvice(all []principal, r Principal) string {
	if !r.valid() {
		return "the request has no principal"
	}
	similar, none := identityAdvice, "only web identities are trusted"
	trusts := func(p principal) bool { return p.form != provider }
	if r.Federated != "" {
		similar, none = providerAdvice, "a web identity needs its provider as a Federated principal"
		trusts = func(p principal) bool { return p.form == provider }
		if slices.ContainsFunc(all, func(p principal) bool { return p.written == podIdentity }) {
			none = "it is for EKS Pod Identity: " + none
		}
	}
	if !slices.ContainsFunc(all, trusts) {
		return none
	}
	for _, p := range all {
		if text := similar(p, r); text != "" {
			return text
		}
	}
	return ""
}

// providerAdvice returns advice about a web identity from a different provider.
func providerAdvice(p principal, r Principal) string {
	have, ok := parseARN(r.Federated)
	if !ok || p.form != provider || p.arn.resource == "" {
		return ""
	}
	return cmp.Or(issuerAdvice(p.arn.issuer(), have.issuer()), difference(p.arn, have))
}

// identityAdvice returns advice about an IAM user or role other than the trusted one.
func identityAdvice(p principal, r Principal) string {
	have, _ := parseARN(r.ARN)
	switch {
	case p.form == deleted:
		return "the unique ID of a deleted user or role"
	case p.form == account && p.arn.account == have.account:
		return difference(arn{p.arn.partition, have.service, have.account, have.resource}, have)
	case p.form == account:
		return difference(arn{have.partition, have.service, p.arn.account, have.resource}, have)
	case p.form == identity && p.arn.resource == have.resource:
		return difference(p.arn, have)
	case p.form == identity && strings.EqualFold(p.written, r.ARN):
		return byCase
	case p.form == session && have.hasSession(p.written):
		return "another session of the role"
	}
	return ""
}

// difference returns the parts in which the ARNs in the policy and the request differ.
func difference(policy, request arn) string {
	var all []string
	for _, part := range []struct{ name, policy, request string }{
		{"partition", policy.partition, request.partition},
		{"account", policy.account, request.account},
		{"issuer", policy.issuer(), request.issuer()},
	} {
		if part.policy != part.request {
			all = append(all, "another "+part.name)
		}
	}
	return strings.Join(all, ", ")
}

// issuer returns the issuer in the ARN of an OIDC provider.
func (a arn) issuer() string {
	_, issuer, _ := strings.Cut(a.resource, "/")
	return issuer
}
