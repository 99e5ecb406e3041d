package explain

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/irsakit/irsakit/internal/lazyregexp"
)

// ProviderARN returns the ARN of the token's OIDC provider in the role's account, or "" if the role
// ARN is invalid.
func (f Facts) ProviderARN() string {
	role, err := arn.Parse(f.RoleARN)
	if err != nil {
		return ""
	}
	role.Resource = "oidc-provider/" + WithoutScheme(f.Claims.Issuer)
	return role.String()
}

// policyARN matches the ARN of the policy that denies a request explicitly, which AWS appends to its
// message if that policy is in the same account or organization.
var policyARN = lazyregexp.New(`explicit deny in an? [A-Za-z -]+: (arn:[A-Za-z0-9:/_+=,.@-]{1,300}[A-Za-z0-9])`)

// audience returns the audience to configure. It is sts.amazonaws.com, unless the token has only
// other audiences. Then it is the first of them.
func (f Facts) audience() string {
	if len(f.Claims.Audience) == 0 || slices.Contains(f.Claims.Audience, STSAudience) {
		return STSAudience
	}
	return f.Claims.Audience[0]
}

// statement returns the trust policy statement that allows the request, as one line of JSON.
func (f Facts) statement() string {
	statement := struct {
		Effect    string
		Principal map[string]string
		Action    any
		Condition map[string]map[string]string `json:",omitempty"`
	}{Effect: "Allow", Principal: map[string]string{"AWS": f.Source}, Action: f.actions()}
	switch {
	case f.Source == "":
		statement.Principal, statement.Condition = map[string]string{"Federated": f.ProviderARN()}, f.conditions()
	case f.ExternalID != "":
		statement.Condition = map[string]map[string]string{"StringEquals": {"sts:ExternalId": literal(f.ExternalID)}}
	}
	return asJSON(statement)
}

// conditions returns the conditions in the trust policy statement that allows the token.
func (f Facts) conditions() map[string]map[string]string {
	issuer := WithoutScheme(f.Claims.Issuer)
	equals, audience := map[string]string{issuer + ":sub": literal(f.Claims.Subject)}, literal(f.audience())
	conditions := map[string]map[string]string{"StringEquals": equals}
	if len(f.Claims.Audience) > 1 { // the condition key then has multiple values
		conditions["ForAnyValue:StringEquals"] = map[string]string{issuer + ":aud": audience}
	} else {
		equals[issuer+":aud"] = audience
	}
	return conditions
}

// literal escapes policy variables in a condition value. Otherwise, a subject such as
// ${oidc.example.com:sub} would match every subject.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars
func literal(text string) string { return strings.ReplaceAll(text, "${", "${$}{") }
