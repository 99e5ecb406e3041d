package trustpolicy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

// Pages of the AWS documentation that specify the verdicts.
const (
	userGuide      = "https://docs.aws.amazon.com/IAM/latest/UserGuide/"
	eksPage        = "https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html"
	operatorPage   = userGuide + "reference_policies_elements_condition_operators.html"
	ifExistsPage   = operatorPage + "#Conditions_IfExists"
	setPage        = userGuide + "reference_policies_condition-single-vs-multi-valued-context-keys.html"
	valuesPage     = userGuide + "reference_policies_condition-logic-multiple-context-keys-or-values.html"
	conditionPage  = userGuide + "reference_policies_elements_condition.html"
	globalKeysPage = userGuide + "reference_policies_condition-keys.html"
	claimsPage     = userGuide + "reference_policies_iam-condition-keys.html#condition-keys-wif"
	stsKeysPage    = userGuide + "reference_policies_iam-condition-keys.html#condition-keys-sts"
	principalPage  = userGuide + "reference_policies_elements_principal.html"
	actionPage     = userGuide + "reference_policies_elements_action.html"
	notActionPage  = userGuide + "reference_policies_elements_notaction.html"
	denyPage       = userGuide + "reference_policies_evaluation-logic.html"
	variablesPage  = userGuide + "reference_policies_variables.html"
	oidcRolePage   = userGuide + "id_roles_create_for-idp_oidc.html"
	externalIDPage = userGuide + "id_roles_common-scenarios_third-party.html"
	tagsPage       = userGuide + "id_session-tags.html"
)

// Strangers that a policy also allows.
const (
	anyToken          = "every token of " + issuer
	anyServiceAccount = "every service account of the cluster"
	anyNamespace      = "the service account cart of every namespace"
	wholeNamespace    = "note: every service account of the namespace shop"
	alike             = "service accounts like system:serviceaccount:"
	anyAudience       = "tokens for every audience"
	noSubject         = "tokens without a subject"
	noAudience        = "tokens without an audience"
	anyAction         = "every action of STS"
	anyAccount        = "every AWS account"
)

// Parts of policies: conditions on the claims of the service account cart.
const (
	isSTS     = `"StringEquals":{"` + aud + `":"sts.amazonaws.com"}`
	isCart    = `"StringEquals":{"` + aud + `":"sts.amazonaws.com","` + sub + `":"` + cart + `"}`
	isCartToo = `"StringLike":{"` + aud + `":"sts.amazonaws.com","` + sub + `":"` + cart + `"}`
)

// web returns a statement that allows web identities of the provider, subject to conditions.
func web(conditions ...string) string {
	return allowing(`"Condition":{` + strings.Join(conditions, ",") + `}`)
}

// statementOf returns a statement with the given effect, principal, action and conditions.
func statementOf(effect, principal, action string, conditions ...string) string {
	return `{"Effect":"` + effect + `","Principal":` + principal + `,` + action + `,"Condition":{` + strings.Join(conditions, ",") + `}}`
}

// policyRow is a policy with the verdict that follows from a page of the AWS documentation.
type policyRow struct {
	name    string
	policy  string // the statements
	verdict string
	broad   string // the strangers that it also allows, joined by "; " if there are several statements
	page    string
}

func claimRows() []policyRow {
	return []policyRow{
		{"the service account and the audience", web(isCart), allowed, "", eksPage},
		{"another service account", web(`"StringEquals":{"` + sub + `":"system:serviceaccount:shop:search","` + aud + `":"sts.amazonaws.com"}`), denied, "", eksPage},
		{"another namespace", web(`"StringEquals":{"` + sub + `":"system:serviceaccount:blog:cart","` + aud + `":"sts.amazonaws.com"}`), denied, "", eksPage},
		{"one of two service accounts", web(isSTS, `"StringLike":{"`+sub+`":["system:serviceaccount:shop:search","`+cart+`"]}`), allowed, "", valuesPage},
		{"all service accounts of the namespace", web(isSTS, `"StringLike":{"`+sub+`":"system:serviceaccount:shop:*"}`), allowed, wholeNamespace, eksPage},
		{"some service accounts of the namespace", web(isSTS, `"StringLike":{"`+sub+`":"system:serviceaccount:shop:ca*"}`), allowed, "", eksPage},
		{"other service accounts of the namespace", web(isSTS, `"StringLike":{"`+sub+`":"system:serviceaccount:shop:app-*"}`), denied, "", eksPage},
		{"a wildcard that StringEquals takes literally", web(`"StringEquals":{"` + sub + `":"system:serviceaccount:shop:*","` + aud + `":"sts.amazonaws.com"}`), denied, "", operatorPage + "#Conditions_String"},
		{"a wildcard for one character", web(isSTS, `"StringLike":{"`+sub+`":"system:serviceaccount:shop:car?"}`), allowed, "", operatorPage + "#Conditions_String"},
		{"a subject in another case", web(`"StringEquals":{"` + sub + `":"system:serviceaccount:shop:Cart","` + aud + `":"sts.amazonaws.com"}`), denied, "", operatorPage + "#Conditions_String"},
		{"a subject in another case, which is ignored", web(isSTS, `"StringEqualsIgnoreCase":{"`+sub+`":"system:serviceaccount:shop:Cart"}`), allowed, "", operatorPage + "#Conditions_String"},
		{"a key in another case", web(`"StringEquals":{"` + strings.ToUpper(sub) + `":"` + cart + `","` + aud + `":"sts.amazonaws.com"}`), allowed, "", conditionPage},
		{"another audience", web(`"StringEquals":{"` + sub + `":"` + cart + `","` + aud + `":"vault"}`), denied, "", claimsPage},
		{"one of the audiences", web(`"ForAnyValue:StringEquals":{"`+aud+`":["vault","sts.amazonaws.com"]}`, `"StringEquals":{"`+sub+`":"`+cart+`"}`), allowed, "", setPage},
		{"a claim that Kubernetes does not write", web(isCart, `"ForAnyValue:StringLike":{"`+issuer+`:amr":"*"}`), denied, "", claimsPage},
		{"a claim that Kubernetes does not write, negated", web(isCart, `"StringNotEquals":{"`+issuer+`:amr":"unauthenticated"}`), allowed, "", operatorPage},
		{"a key of another issuer", web(`"StringEquals":{"` + otherIssuer + `:sub":"` + cart + `"}`), denied, "", claimsPage},

		{"any service account", web(isSTS, `"StringLike":{"`+sub+`":"system:serviceaccount:*"}`), allowed, anyServiceAccount, oidcRolePage},
		{"any service account, in four parts", web(isSTS, `"StringLike":{"`+sub+`":"system:serviceaccount:*:*"}`), allowed, anyServiceAccount, oidcRolePage},
		{"any namespace", web(isSTS, `"StringLike":{"`+sub+`":"system:serviceaccount:*:cart"}`), allowed, anyNamespace, oidcRolePage},
		{"any beginning", web(isSTS, `"StringLike":{"`+sub+`":"*:cart"}`), allowed, anyNamespace, oidcRolePage},
		{"a namespace without the colon after it", web(isSTS, `"StringLike":{"`+sub+`":"system:serviceaccount:shop*"}`), allowed, alike + "shop* and " + wholeNamespace[len("note: "):], oidcRolePage},
		{"namespaces by their beginning", web(isSTS, `"StringLike":{"`+sub+`":"system:serviceaccount:sh*:cart"}`), allowed, alike + "sh*:cart", oidcRolePage},
		{"namespaces by their beginning, without the colon after them", web(isSTS, `"StringLike":{"`+sub+`":"system:serviceaccount:s*"}`), allowed, alike + "s* and " + wholeNamespace[len("note: "):], oidcRolePage},
		{"namespaces by their end", web(isSTS, `"StringLike":{"`+sub+`":"system:serviceaccount:*op:cart"}`), allowed, alike + "*op:cart", oidcRolePage},
		{"namespaces by their end, and any beginning", web(isSTS, `"StringLike":{"`+sub+`":"*op:c?rt"}`), allowed, "service accounts like *op:c?rt", oidcRolePage},
		{"namespaces by their middle", web(isSTS, `"StringLike":{"`+sub+`":"system:serviceaccount:*ho*:cart"}`), allowed, alike + "*ho*:cart", oidcRolePage},
		{"namespaces by their middle, and any beginning", web(isSTS, `"StringLike":{"`+sub+`":"*:s*op:cart"}`), allowed, "service accounts like *:s*op:cart", oidcRolePage},
		{"namespaces by their length", web(isSTS, `"StringLike":{"`+sub+`":"system:serviceaccount:????:cart"}`), allowed, alike + "????:cart", oidcRolePage},
		{"namespaces by their end, and any service account", web(isSTS, `"StringLike":{"`+sub+`":"system:serviceaccount:*op:*"}`), allowed, alike + "*op:* and " + wholeNamespace[len("note: "):], oidcRolePage},
		{"namespaces in another statement", web(isCart) + "," + web(isSTS, `"StringLike":{"`+sub+`":"system:serviceaccount:team-?:cart"}`), allowed, alike + "team-?:cart", oidcRolePage},
		{"namespaces of another cluster", web(isCart) + "," + statementOf("Allow", `{"Federated":"arn:aws:iam::111122223333:oidc-provider/`+otherIssuer+`"}`, `"Action":"sts:AssumeRoleWithWebIdentity"`,
			`"StringEquals":{"`+otherIssuer+`:aud":"sts.amazonaws.com"}`, `"StringLike":{"`+otherIssuer+`:sub":"system:serviceaccount:shop-*:cart"}`), allowed, alike + "shop-*:cart", oidcRolePage},
		{"another namespace too", web(isSTS, `"StringLike":{"`+sub+`":["`+cart+`","system:serviceaccount:team:*","*:team:cart"]}`), allowed, "", oidcRolePage},
		{"namespaces that another condition excludes", web(isCart, `"StringLike":{"`+sub+`":"system:serviceaccount:sh*:cart"}`), allowed, "", valuesPage},
		{"any subject", web(isSTS, `"StringLike":{"`+sub+`":"*"}`), allowed, anyToken, oidcRolePage},
		{"no condition", web(), allowed, anyToken + " and " + anyAudience, eksPage},
		{"no condition on the subject", web(isSTS), allowed, anyToken, eksPage},
		{"no condition on the audience", web(`"StringEquals":{"` + sub + `":"` + cart + `"}`), allowed, anyAudience, claimsPage},
		{"any audience", web(`"StringLike":{"` + sub + `":"` + cart + `","` + aud + `":"*"}`), allowed, anyAudience, claimsPage},
		{"all subjects of none", web(isSTS, `"ForAllValues:StringEquals":{"`+sub+`":"`+cart+`"}`), allowed, noSubject, setPage},
		{"all audiences of none", web(`"ForAllValues:StringEquals":{"`+aud+`":"sts.amazonaws.com"}`, `"StringEquals":{"`+sub+`":"`+cart+`"}`), allowed, noAudience, setPage},
		{"all subjects, of which there must be one", web(isSTS, `"ForAllValues:StringEquals":{"`+sub+`":"`+cart+`"}`, `"Null":{"`+sub+`":"false"}`), allowed, "", setPage},
		{"the subject, if there is one", web(isSTS, `"StringEqualsIfExists":{"`+sub+`":"`+cart+`"}`), allowed, noSubject, ifExistsPage},
		{"the audience, if there is one", web(`"StringEqualsIfExists":{"`+aud+`":"sts.amazonaws.com"}`, `"StringEquals":{"`+sub+`":"`+cart+`"}`), allowed, noAudience, ifExistsPage},
		{"another subject, if there is one", web(isSTS, `"StringEqualsIfExists":{"`+sub+`":"system:serviceaccount:shop:search"}`), denied, noSubject, ifExistsPage},
		{"all subjects but one", web(isSTS, `"StringNotEquals":{"`+sub+`":"system:serviceaccount:shop:search"}`), allowed, anyToken, operatorPage + "#Conditions_String"},
		{"all subjects but a namespace", web(isSTS, `"StringNotLike":{"`+sub+`":"system:serviceaccount:kube-system:*"}`), allowed, anyToken, operatorPage + "#Conditions_String"},
		{"all subjects but this one", web(isSTS, `"StringNotEquals":{"`+sub+`":"`+cart+`"}`), denied, anyToken, operatorPage + "#Conditions_String"},
		{"a stricter condition in the same statement", web(isCart, `"StringLike":{"`+sub+`":"system:serviceaccount:*"}`), allowed, "", valuesPage},
		{"a broad statement after a strict one", web(isCart) + "," + web(isSTS), allowed, anyToken, denyPage},
		{"a broad statement and a Deny of the others", web() + "," + statementOf("Deny", `{"Federated":"`+provider+`"}`, `"Action":"sts:*"`, `"StringNotEquals":{"`+sub+`":"`+cart+`"}`) + "," +
			statementOf("Deny", `{"Federated":"`+provider+`"}`, `"Action":"sts:*"`, `"StringNotEquals":{"`+aud+`":"sts.amazonaws.com"}`), allowed, "", denyPage},
	}
}

func globalKeyRows() []policyRow {
	denyUnlessTLS := statementOf("Deny", `"*"`, `"Action":"sts:*"`, `"Bool":{"aws:SecureTransport":"false"}`)
	return []policyRow{
		{"an IP address", web(isCart, `"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}`), undetermined, "", globalKeysPage + "#condition-keys-sourceip"},
		{"all IP addresses but some", web(isCart, `"NotIpAddress":{"aws:SourceIp":["203.0.113.0/24","2001:db8::/32"]}`), undetermined, "", globalKeysPage + "#condition-keys-sourceip"},
		{"a VPC", web(isCart, `"StringLike":{"aws:SourceVpc":"vpc-111bbb22"}`), undetermined, "", globalKeysPage + "#condition-keys-sourcevpc"},
		{"a VPC endpoint, if there is one", web(isCart, `"StringEqualsIfExists":{"aws:SourceVpce":"vpce-1a2b3c4d"}`), undetermined, "", globalKeysPage + "#condition-keys-sourcevpce"},
		{"that there is a VPC endpoint", web(isCart, `"Null":{"aws:SourceVpce":"false"}`), undetermined, "", operatorPage + "#Conditions_Null"},
		{"TLS", web(isCart, `"Bool":{"aws:SecureTransport":"true"}`), undetermined, "", globalKeysPage + "#condition-keys-securetransport"},
		{"a Deny without TLS", web(isCart) + "," + denyUnlessTLS, undetermined, "", globalKeysPage + "#condition-keys-securetransport"},
		{"a region", web(isCart, `"StringLike":{"aws:RequestedRegion":["eu-*"]}`), undetermined, "", globalKeysPage + "#condition-keys-requestedregion"},
		{"a time", web(isCart, `"DateGreaterThan":{"aws:CurrentTime":"2020-04-01T00:00:00Z"}`, `"DateLessThan":{"aws:CurrentTime":"2030-06-30T23:59:59Z"}`), undetermined, "", operatorPage + "#Conditions_Date"},
		{"a time in seconds", web(isCart, `"NumericLessThan":{"aws:EpochTime":1900000000}`), undetermined, "", globalKeysPage + "#condition-keys-epochtime"},
		{"the organization of the role", web(isCart, `"StringLike":{"aws:ResourceOrgID":"o-a1b2c3d4e5"}`), undetermined, "", globalKeysPage + "#condition-keys-resourceorgid"},
		{"a tag of the role", web(isCart, `"StringLike":{"iam:ResourceTag/team":"shop"}`), undetermined, "", userGuide + "access_iam-tags.html"},
		{"an operator that the package does not know", web(isCart, `"BinaryEquals":{"`+sub+`":"QmluYXJ5VmFsdWVJbkJhc2U2NA=="}`), undetermined, "", operatorPage + "#Conditions_BinaryEquals"},
		{"an IP address, with another subject", web(`"StringEquals":{"`+sub+`":"system:serviceaccount:shop:search"}`, `"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}`), denied, "", valuesPage},
		{"an IP address, or not", web(isCart, `"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}`) + "," + web(isCartToo), allowed, "", denyPage},
		{"an IP address, and a Deny", web(isCart, `"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}`) + "," + statementOf("Deny", `"*"`, `"Action":"*"`), denied, "", denyPage},
		{"an IP address in a Deny, and nothing allows", web(`"StringEquals":{"`+sub+`":"x"}`) + "," + denyUnlessTLS, denied, "", denyPage},
		{"an IP address, for every subject", web(isSTS, `"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}`), undetermined, anyToken, globalKeysPage + "#condition-keys-sourceip"},
		{"a caller's ARN", web(isCart, `"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/*"}`), denied, "", globalKeysPage + "#condition-keys-principalarn"},
		{"a caller's organization", web(isCart, `"StringLike":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}`), denied, "", globalKeysPage + "#condition-keys-principalorgid"},
		{"the provider of the token", web(isCart, `"ArnEquals":{"aws:FederatedProvider":"`+provider+`"}`), allowed, "", globalKeysPage + "#condition-keys-federatedprovider"},
		{"an external ID", web(isCart, `"StringLike":{"sts:ExternalId":"12345"}`), denied, "", stsKeysPage},
		{"the session name", web(isCart, `"StringLike":{"sts:RoleSessionName":"cart-*"}`), allowed, "", stsKeysPage},
		{"another session name", web(isCart, `"StringLike":{"sts:RoleSessionName":"search-*"}`), denied, "", stsKeysPage},
		{"a source identity", web(isCart, `"StringLike":{"sts:SourceIdentity":"*"}`), denied, "", stsKeysPage},
		{"a session tag", web(isCart, `"StringLike":{"aws:RequestTag/team":"*"}`), denied, "", tagsPage},
		{"only some session tags", web(isCart, `"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}`), allowed, "", tagsPage},
		{"a second factor", web(isCart, `"Bool":{"aws:MultiFactorAuthPresent":"true"}`), denied, "", globalKeysPage + "#condition-keys-multifactorauthpresent"},
		{"a second factor, if it is known", web(isCart, `"BoolIfExists":{"aws:MultiFactorAuthPresent":"true"}`), allowed, "", globalKeysPage + "#condition-keys-multifactorauthpresent"},
		{"a variable without a value", web(isSTS, `"StringLike":{"`+sub+`":"${aws:username}"}`), denied, "", variablesPage},
		{"a variable that only AWS knows", web(isSTS, `"StringLike":{"`+sub+`":"system:serviceaccount:${aws:RequestedRegion}:cart"}`), undetermined, anyNamespace, variablesPage},
	}
}

func principalRows() []policyRow {
	const everyone, account = `{"AWS":"*"}`, `{"AWS":"arn:aws:iam::444455556666:root"}`
	const role, webIdentity, all = `"Action":"sts:AssumeRole"`, `"Action":"sts:AssumeRoleWithWebIdentity"`, `"Action":"sts:*"`
	federated := `{"Federated":"` + provider + `"}`
	return []policyRow{
		{"any AWS principal", web(isCart) + "," + statementOf("Allow", everyone, role), allowed, anyAccount, principalPage + "#principal-anonymous"},
		{"any AWS principal, by its short form", web(isCart) + "," + statementOf("Allow", `"*"`, role), allowed, anyAccount, principalPage + "#principal-anonymous"},
		{"any AWS principal with a session name", web(isCart) + "," + statementOf("Allow", everyone, role, `"StringLike":{"sts:RoleSessionName":"cart-*"}`), allowed, anyAccount, stsKeysPage},
		{"any AWS principal with an external ID", web(isCart) + "," + statementOf("Allow", everyone, role, `"StringEquals":{"sts:ExternalId":"12345"}`), allowed, anyAccount, externalIDPage},
		{"any AWS principal with a tag", web(isCart) + "," + statementOf("Allow", everyone, role, `"StringEquals":{"aws:PrincipalTag/team":"shop"}`), allowed, anyAccount, globalKeysPage + "#condition-keys-principaltag"},
		{"any AWS principal of the organization", web(isCart) + "," + statementOf("Allow", everyone, role, `"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}`), allowed, "", globalKeysPage + "#condition-keys-principalorgid"},
		{"any AWS principal of the organization, if it has one", web(isCart) + "," + statementOf("Allow", everyone, role, `"StringEqualsIfExists":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}`), allowed, "AWS accounts outside any organization", globalKeysPage + "#condition-keys-principalorgid"},
		{"any AWS principal of no other organization", web(isCart) + "," + statementOf("Allow", everyone, role, `"StringNotEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}`), allowed, anyAccount, globalKeysPage + "#condition-keys-principalorgid"},
		{"roles of a name in any account", web(isCart) + "," + statementOf("Allow", everyone, role, `"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/deployer"}`), allowed, "roles like arn:aws:iam::*:role/deployer of every AWS account", globalKeysPage + "#condition-keys-principalarn"},
		{"roles of a name in any account, by its end", web(isCart) + "," + statementOf("Allow", everyone, role, `"StringLike":{"aws:PrincipalArn":"*:role/ci/deploy?"}`), allowed, "roles like *:role/ci/deploy? of every AWS account", globalKeysPage + "#condition-keys-principalarn"},
		{"roles by the end of their ARN", web(isCart) + "," + statementOf("Allow", everyone, role, `"StringLike":{"aws:PrincipalArn":"*/admin"}`), allowed, "roles like */admin of every AWS account", globalKeysPage + "#condition-keys-principalarn"},
		{"roles by the end of their name", web(isCart) + "," + statementOf("Allow", everyone, role, `"StringLike":{"aws:PrincipalArn":"arn:aws:iam::*admin"}`), allowed, "roles like arn:aws:iam::*admin of every AWS account", globalKeysPage + "#condition-keys-principalarn"},
		{"roles by a part of their name", web(isCart) + "," + statementOf("Allow", everyone, role, `"StringLike":{"aws:PrincipalArn":"*admin*"}`), allowed, "roles like *admin* of every AWS account", globalKeysPage + "#condition-keys-principalarn"},
		{"roles by their type and name", web(isCart) + "," + statementOf("Allow", everyone, role, `"StringLike":{"aws:PrincipalArn":"*role/admin"}`), allowed, "roles like *role/admin of every AWS account", globalKeysPage + "#condition-keys-principalarn"},
		{"roles by a part of their name that is like their type", web(isCart) + "," + statementOf("Allow", everyone, role, `"StringLike":{"aws:PrincipalArn":"*l??"}`), allowed, "roles like *l?? of every AWS account", globalKeysPage + "#condition-keys-principalarn"},
		{"roles of a name, with any beginning of the account", web(isCart) + "," + statementOf("Allow", everyone, role, `"StringLike":{"aws:PrincipalArn":"arn:aws:iam:*:role/admin"}`), allowed, "roles like arn:aws:iam:*:role/admin of every AWS account", globalKeysPage + "#condition-keys-principalarn"},
		{"roles of a name in any service", web(isCart) + "," + statementOf("Allow", everyone, role, `"StringLike":{"aws:PrincipalArn":"arn:*:role/?"}`), allowed, "roles like arn:*:role/? of every AWS account", globalKeysPage + "#condition-keys-principalarn"},
		{"roles of a name in any partition", web(isCart) + "," + statementOf("Allow", everyone, role, `"ArnLike":{"aws:PrincipalArn":"arn:*:iam::*:role/admin"}`), allowed, "roles like arn:*:iam::*:role/admin of every AWS account", globalKeysPage + "#condition-keys-principalarn"},
		{"roles of a name in any type", web(isCart) + "," + statementOf("Allow", everyone, role, `"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:*/admin"}`), allowed, "roles like arn:aws:iam::*:*/admin of every AWS account", globalKeysPage + "#condition-keys-principalarn"},
		{"roles of a path in any account", web(isCart) + "," + statementOf("Allow", everyone, role, `"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/ci/*"}`), allowed, "roles like arn:aws:iam::*:role/ci/* of every AWS account", globalKeysPage + "#condition-keys-principalarn"},
		{"users of a name in any account", web(isCart) + "," + statementOf("Allow", everyone, role, `"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/admin"}`), allowed, "users like arn:aws:iam::*:user/admin of every AWS account", globalKeysPage + "#condition-keys-principalarn"},
		{"IAM users", web(isCart) + "," + statementOf("Allow", everyone, role, `"StringEquals":{"aws:PrincipalType":"User"}`), allowed, anyAccount, globalKeysPage + "#condition-keys-principaltype"},
		{"roles of a name in any account of an organization", web(isCart) + "," + statementOf("Allow", everyone, role, `"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/deployer"}`, `"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}`), allowed, "", globalKeysPage + "#condition-keys-principalarn"},
		{"any AWS principal of the account", web(isCart) + "," + statementOf("Allow", everyone, role, `"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/*"}`), allowed, "", globalKeysPage + "#condition-keys-principalarn"},
		{"any AWS principal and action", web(isCart) + "," + statementOf("Allow", everyone, all), allowed, anyAccount + " and " + anyAction, actionPage},
		{"another account", web(isCart) + "," + statementOf("Allow", account, role), allowed, "", principalPage + "#principal-accounts"},
		{"a web identity as any principal", statementOf("Allow", `"*"`, webIdentity, isCart), undetermined, "", principalPage + "#principal-anonymous"},
		{"a Deny of any principal", web(isCart) + "," + statementOf("Deny", `"*"`, webIdentity), denied, "", principalPage + "#principal-anonymous"},
		{"the provider of another cluster", statementOf("Allow", `{"Federated":"arn:aws:iam::111122223333:oidc-provider/`+otherIssuer+`"}`, webIdentity), denied, "every token of " + otherIssuer, principalPage},
		{"all of another cluster too", web(isCart) + "," + statementOf("Allow", `{"Federated":"arn:aws:iam::111122223333:oidc-provider/`+otherIssuer+`"}`, webIdentity), allowed, "every token of " + otherIssuer, oidcRolePage},
		{"a service only", statementOf("Allow", `{"Service":"ec2.amazonaws.com"}`, role), denied, "", principalPage + "#principal-services"},
		{"the action for roles", statementOf("Allow", federated, role, isCart), denied, "", actionPage},
		{"all actions of STS", statementOf("Allow", federated, all, isCart), allowed, anyAction, actionPage},
		{"all actions", statementOf("Allow", federated, `"Action":"*"`, isCart), allowed, anyAction, actionPage},
		{"all actions but one", statementOf("Allow", federated, `"NotAction":"sts:TagSession"`, isCart), allowed, anyAction, notActionPage},
		{"all actions that assume a role", statementOf("Allow", federated, `"Action":"sts:AssumeRole*"`, isCart), allowed, "", actionPage},
		{"session tags too", statementOf("Allow", federated, `"Action":["sts:AssumeRoleWithWebIdentity","sts:TagSession"]`, isCart), allowed, "", tagsPage},
	}
}

// cartToken returns the token of the service account cart.
func cartToken() trustpolicy.WebIdentity {
	return trustpolicy.WebIdentity{
		Provider: provider, Issuer: "https://" + issuer, Subject: cart, Audiences: []string{audience}, SessionName: "cart-7d9c4b5f6d-x2x7k",
	}
}

func TestReviewFollowsAWSDocumentation(t *testing.T) {
	rows := append(append(claimRows(), globalKeyRows()...), principalRows()...)
	assert.GreaterOrEqual(t, len(rows), 60)
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			review := parse(t, `{"Version":"2012-10-17","Statement":[`+tt.policy+`]}`).Review(cartToken())
			assert.Equal(t, tt.verdict, review.Decision.Verdict.String(), "%s, see %s", review, tt.page)
			var broad []string
			for _, f := range review.Findings {
				who := strings.Join(f.Principals, " and ")
				if f.Note {
					who = "note: " + who
				}
				broad = append(broad, who)
			}
			assert.Equal(t, tt.broad, strings.Join(broad, "; "), "%s, see %s", review, tt.page)
		})
	}
}
