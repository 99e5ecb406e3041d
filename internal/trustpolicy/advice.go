package trustpolicy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	removeScheme = "leave out https://"
	removeSlash  = "leave out the slash at the end of the issuer"
	addSlash     = "add the slash at the end of the issuer"
	byCase       = "they differ only in case"
	signedOnly   = "no request of a web identity has this key"
)

// audience is the audience of STS tokens.
const audience = "sts.amazonaws.com"

// advice returns the most likely reason why the condition does not hold. It recognizes common
// mistakes in the trust policies of service account roles.
func (c condition) advice(in requestContext) string {
	found := in.lookup(c.key)
	switch {
	case c.operator.name == null || c.operator.negated || c.operator.compare == nil:
		return ""
	case len(found) == 0:
		return absentAdvice(c.key, in)
	case len(found) > 1 && c.operator.set == "":
		return fmt.Sprintf("the key has several values: use %s:%s or %s:%s", forAnyValue, c.operator.written, forAllValues, c.operator.written)
	case !strings.HasPrefix(c.operator.name, "String"):
		return ""
	}
	values := make([]value, len(c.values))
	for i, v := range c.values {
		values[i], _ = v.resolved(in) // always succeeds, because otherwise the advice is about the variable
	}
	for _, f := range found {
		if c.test(f, values) != yes {
			return c.valueAdvice(values, f)
		}
	}
	return ""
}

// valueAdvice returns advice about a request value that is not among the expected values.
func (c condition) valueAdvice(expected []value, found string) string {
	for _, mistake := range []func(value, string) string{c.wildcardAdvice, spellingAdvice, c.audienceAdvice} {
		for _, v := range expected {
			if text := mistake(v, found); text != "" {
				return text
			}
		}
	}
	return c.subjectAdvice(expected, found)
}

// absentAdvice returns advice about a key that is absent from the request. If the request has a key
// for the same claim, the advice is about the issuer.
func absentAdvice(key string, in requestContext) string {
	if in.unsigned && absentFromUnsigned(strings.ToLower(key)) {
		return signedOnly
	}
	issuer, claim := cutClaim(key)
	another, same := "", false
	for _, lower := range slices.Sorted(maps.Keys(in.keys)) {
		other, otherClaim := cutClaim(in.keys[lower].key)
		same = same || sameIssuer(issuer, other) && strings.Contains(other, ".")
		if !strings.EqualFold(claim, otherClaim) || !strings.Contains(other, ".") || !strings.Contains(issuer, ".") {
			continue // a key without an issuer, such as aws:PrincipalArn
		}
		if text := issuerAdvice(issuer, other); text != "" {
			return text
		}
		another = fmt.Sprintf("another issuer: the request has %q", in.keys[lower].key)
	}
	if same && another == "" && !slices.ContainsFunc(Claims(), func(known string) bool { return strings.EqualFold(known, claim) }) {
		return "a trust policy can use only the claims " + strings.Join(Claims(), ", ") + " of a token"
	}
	return another
}

// issuerAdvice returns advice about an issuer in the policy that differs from the request's only in
// its scheme or in a slash at its end.
func issuerAdvice(policy, request string) string {
	slash := strings.HasSuffix(request, "/")
	switch {
	case !sameIssuer(policy, request):
		return ""
	case strings.HasPrefix(policy, "https://"):
		return removeScheme
	case strings.HasSuffix(policy, "/") == slash:
		return ""
	case slash:
		return addSlash
	default:
		return removeSlash
	}
}

// sameIssuer reports whether two issuers differ at most in case, scheme, and a slash at the end.
func sameIssuer(a, b string) bool {
	bare := func(issuer string) string { return strings.TrimSuffix(strings.TrimPrefix(issuer, "https://"), "/") }
	return strings.EqualFold(bare(a), bare(b))
}

// Claims returns the web identity token claims that conditions can refer to.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
func Claims() []string { return []string{"sub", "aud", "amr"} }

// cutClaim splits an identity provider's condition key into the issuer and the claim.
func cutClaim(key string) (issuer, claim string) {
	i := strings.LastIndexByte(key, ':')
	return key[:max(i, 0)], key[i+1:]
}

// wildcardAdvice returns advice about a wildcard that the operator treats as literal text.
func (c condition) wildcardAdvice(expected value, found string) string {
	if !strings.Contains(c.operator.name, "Equals") || like(expected, found) != yes {
		return ""
	}
	wildcard := "*"
	if !strings.Contains(expected.text(), wildcard) {
		wildcard = "?"
	}
	return fmt.Sprintf("%s does not treat %s as a wildcard: use %s", c.operator.written, wildcard,
		strings.Replace(c.operator.written, c.operator.name, "StringLike", 1))
}

// spellingAdvice returns advice about values that are almost equal.
func spellingAdvice(expected value, found string) string {
	text := expected.text()
	switch {
	case strings.TrimSpace(text) == strings.TrimSpace(found):
		return "they differ only in white space"
	case strings.EqualFold(text, found):
		return byCase
	case strings.TrimPrefix(text, "https://") == strings.TrimPrefix(found, "https://"):
		return "they differ only in https://"
	}
	return ""
}

// audienceAdvice returns advice about a wrong audience.
func (c condition) audienceAdvice(expected value, found string) string {
	if _, claim := cutClaim(c.key); !strings.EqualFold(claim, "aud") {
		return ""
	}
	switch text := expected.text(); {
	case found == audience && strings.HasPrefix(text, audience):
		return "the audience is sts.amazonaws.com in every partition"
	case text == audience:
		return "the audience of the token is not STS"
	}
	return ""
}

const subjectPrefix = "system:serviceaccount:"

// subjectAdvice returns advice about which part of a service account's subject differs. If the policy
// has several values, all must differ in the same part.
func (c condition) subjectAdvice(expected []value, found string) string {
	if _, claim := cutClaim(c.key); !strings.EqualFold(claim, "sub") || !strings.HasPrefix(found, subjectPrefix) {
		return ""
	}
	common := partAdvice(expected[0], found)
	for _, v := range expected[1:] {
		if partAdvice(v, found) != common {
			return ""
		}
	}
	return common
}

// partAdvice returns advice about which part of a subject differs.
func partAdvice(expected value, found string) string {
	const parts = 4
	want, have := expected.pattern().components(parts), strings.SplitN(found, ":", parts)
	if len(want) < parts || len(have) < parts || !want[0].matches(have[0]) || !want[1].matches(have[1]) {
		return "a subject is system:serviceaccount:, the namespace, a colon and the name"
	}
	switch namespace, name := want[2].matches(have[2]), want[3].matches(have[3]); {
	case !namespace && !name:
		return "another namespace and another service account"
	case !namespace:
		return "another namespace"
	default:
		return "another service account"
	}
}
