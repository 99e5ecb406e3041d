package trustpolicy_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

// condition returns a Condition mismatch.
func condition(operator, key, expected, found, advice string) trustpolicy.Mismatch {
	m := trustpolicy.Mismatch{Element: "Condition", Operator: operator, Key: key, Expected: []string{expected}, Advice: advice}
	if found != "" {
		m.Found = []string{found}
	}
	return m
}

func TestAdviceOnConditions(t *testing.T) {
	const claimsOnly = "a trust policy can use only the claims sub, aud, amr of a token"
	const noCaller = "no request of a web identity has this key"
	for _, tt := range []struct {
		name string
		want trustpolicy.Mismatch // also used to build the policy
	}{
		{"StringEquals with *", condition("StringEquals", sub, "system:serviceaccount:shop:*", cart, "StringEquals does not treat * as a wildcard: use StringLike")},
		{"StringEquals with ?", condition("StringEquals", sub, "system:serviceaccount:shop:car?", cart, "StringEquals does not treat ? as a wildcard: use StringLike")},
		{"StringEqualsIgnoreCase with *", condition("StringEqualsIgnoreCase", sub, "system:serviceaccount:*:cart", cart, "StringEqualsIgnoreCase does not treat * as a wildcard: use StringLike")},
		{"a set operator with *", condition("ForAnyValue:StringEqualsIfExists", sub, "*:cart", cart, "ForAnyValue:StringEqualsIfExists does not treat * as a wildcard: use ForAnyValue:StringLikeIfExists")},
		{"StringEquals with *, that would not match with StringLike either",
			condition("StringEquals", sub, "system:serviceaccount:store:*", cart, "another namespace")},
		{"another namespace", condition("StringEquals", sub, "system:serviceaccount:store:cart", cart, "another namespace")},
		{"another name", condition("StringEquals", sub, "system:serviceaccount:shop:carts", cart, "another service account")},
		{"another namespace and name", condition("StringEquals", sub, "system:serviceaccount:default:default", cart, "another namespace and another service account")},
		{"a pattern of other namespaces", condition("StringLike", sub, "system:serviceaccount:shop-*:*", cart, "another namespace")},
		{"a pattern of other names", condition("StringLike", sub, "system:serviceaccount:shop:c?t", cart, "another service account")},
		{"a subject without its beginning", condition("StringEquals", sub, "shop:cart", cart, "a subject is system:serviceaccount:, the namespace, a colon and the name")},
		{"a subject without the namespace", condition("StringEquals", sub, "system:serviceaccount:cart", cart, "a subject is system:serviceaccount:, the namespace, a colon and the name")},
		{"a subject with a slash", condition("StringEquals", sub, "system:serviceaccount:shop/cart", cart, "a subject is system:serviceaccount:, the namespace, a colon and the name")},
		{"a subject with another beginning", condition("StringEquals", sub, "system:serviceaccounts:shop:cart", cart, "a subject is system:serviceaccount:, the namespace, a colon and the name")},
		{"a subject in another case", condition("StringEquals", sub, "system:serviceaccount:Shop:cart", cart, "they differ only in case")},
		{"a subject with white space behind", condition("StringEquals", sub, cart+" ", cart, "they differ only in white space")},
		{"a pattern with white space in front", condition("StringLike", sub, "\n"+cart, cart, "they differ only in white space")},
		{"the audience of China", condition("StringEquals", aud, "sts.amazonaws.com.cn", audience, "the audience is sts.amazonaws.com in every partition")},
		{"an audience in another case", condition("StringEquals", aud, "STS.amazonaws.com", audience, "they differ only in case")},
		{"an audience with https://", condition("StringEquals", aud, "https://sts.amazonaws.com", audience, "they differ only in https://")},
		{"a token for another audience", condition("StringEquals", aud, audience, "https://kubernetes.default.svc", "the audience of the token is not STS")},
		{"a token for another audience than another", condition("StringEquals", aud, "a", "b", "")},
		{"a key with https://", condition("StringEquals", "https://"+sub, cart, "", "leave out https://")},
		{"a key with https:// and a slash", condition("StringEquals", "https://"+issuer+"/:sub", cart, "", "leave out https://")},
		{"a key with a slash at the end", condition("StringEquals", issuer+"/:sub", cart, "", "leave out the slash at the end of the issuer")},
		{"a key of another issuer", condition("StringEquals", otherIssuer+":sub", cart, "", `another issuer: the request has "`+sub+`"`)},
		{"a key of a misspelled claim", condition("StringEquals", issuer+":subject", cart, "", claimsOnly)},
		{"a key of a claim that AWS does not show", condition("StringEquals", issuer+":jti", "1", "", claimsOnly)},
		{"a key of a claim that this token lacks", condition("ForAnyValue:StringEquals", issuer+":amr", "1", "", "")},
		{"a key of signed requests", condition("StringLike", "aws:PrincipalTag/team", "*", "", noCaller)},
		{"a key of the caller's organization", condition("StringEquals", "AWS:PrincipalOrgID", "o-1", "", noCaller)},
		{"a key that only Bool is about", condition("Bool", "aws:MultiFactorAuthPresent", "true", "", noCaller)},
		{"a key of requests by services", condition("StringEquals", "aws:SourceAccount", "111122223333", "", noCaller)},
		{"a key of a tag", condition("StringEquals", "aws:RequestTag/team", "shop", "", "")},
		{"a key of a parameter", condition("StringEquals", "sts:SourceIdentity", "Saanvi", "", "")},
		{"a key of a parameter of AssumeRole", condition("StringEquals", "sts:ExternalId", "4711", "", noCaller)},
		{"a variable without a value", condition("StringLike", sub, "${aws:username}", cart, "${aws:username} is not in the request")},
		{"a variable without a value, and no key", condition("StringNotLike", "k:k", "${aws:username}", "", "${aws:username} is not in the request")},
		{"a variable with several values", condition("StringEquals", sub, "${k:many}", cart, "${k:many} has several values in the request")},
		{"a variable with an empty value", condition("StringEquals", sub, "${k:empty}", cart, "${k:empty} has no usable value in the request")},
		{"an operator of ARNs", condition("ArnLike", "k:arn", "arn:aws:iam::1:role/*", "arn:aws:iam::2:role/r", "")},
		{"a negated operator", condition("StringNotEquals", sub, cart, cart, "")},
		{"a key that must not be", condition("Null", sub, "true", cart, "")},
		{"an empty value of a set", condition("ForAnyValue:StringEquals", "k:empty", "a", "", "")},
		{"another claim", condition("StringEquals", "k:arn", cart, "arn:aws:iam::2:role/r", "")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := ofCart()
			for key, values := range (context{"k:many": {"a", "b"}, "k:empty": {""}, "k:arn": {"arn:aws:iam::2:role/r"}}) {
				r = with(r, key, values...)
			}
			if tt.want.Key == aud {
				r = with(r, aud, tt.want.Found...)
			}
			if tt.want.Key == "k:empty" {
				tt.want.Found = []string{""}
			}
			requireMismatch(t, r, tt.want)
		})
	}
}

// requireMismatch requires that a policy with the condition has exactly this mismatch.
func requireMismatch(t *testing.T, r trustpolicy.Request, want trustpolicy.Mismatch) {
	t.Helper()
	p := parse(t, document(`"Condition":{`+quote(want.Operator)+`:{`+quote(want.Key)+`:`+quote(want.Expected...)+`}}`))
	d := p.Evaluate(r)
	require.False(t, d.Allowed())
	require.Equal(t, []trustpolicy.Mismatch{want}, d.Statements[0].Mismatches)
	assert.Equal(t, "statement 1: "+want.String(), d.String())
}

func TestAdviceOnConditionsWithSeveralValues(t *testing.T) {
	several := func(operator string, expected, found []string, advice string) trustpolicy.Mismatch {
		return trustpolicy.Mismatch{Element: "Condition", Operator: operator, Key: sub, Expected: expected, Found: found, Advice: advice}
	}
	const a, b = "system:serviceaccount:a:cart", "system:serviceaccount:b:cart"
	for _, tt := range []struct {
		name string
		want trustpolicy.Mismatch
	}{
		{"all of another namespace", several("StringEquals", []string{a, b}, []string{cart}, "another namespace")},
		{"of another namespace or name", several("StringEquals", []string{a, "system:serviceaccount:shop:a"}, []string{cart}, "")},
		{"the second with a wildcard", several("StringEquals", []string{a, "system:serviceaccount:shop:*"}, []string{cart}, "StringEquals does not treat * as a wildcard: use StringLike")},
		{"several in the request", several("StringEquals", []string{a}, []string{b, cart}, "the key has several values: use ForAnyValue:StringEquals or ForAllValues:StringEquals")},
		{"the one of the request that is not expected", several("ForAllValues:StringEquals", []string{a}, []string{a, b}, "another namespace")},
		{"a null dataset", several("ForAnyValue:StringLike", []string{"*"}, []string{""}, "")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			requireMismatch(t, with(ofCart(), sub, tt.want.Found...), tt.want)
		})
	}
}

func TestAdviceAcceptsContextKeyWithoutColon(t *testing.T) {
	requireMismatch(t, with(ofCart(), "sub", cart), condition("StringEquals", "k:sub", cart, "", ""))
}

func TestAdviceOnPrincipals(t *testing.T) {
	const account = "arn:aws:iam::111122223333:"
	web := trustpolicy.Principal{Federated: provider}
	role := trustpolicy.Principal{ARN: account + "role/cart", Session: "arn:aws:sts::111122223333:assumed-role/cart/s1"}
	for _, tt := range []struct {
		name      string
		principal string // in the policy
		expected  []string
		request   trustpolicy.Principal
		advice    string
	}{
		{"the provider of another account", `{"Federated":"arn:aws:iam::444455556666:oidc-provider/` + issuer + `"}`,
			[]string{"arn:aws:iam::444455556666:oidc-provider/" + issuer}, web, "another account"},
		{"the provider of another partition", `{"Federated":"arn:aws-cn:iam::111122223333:oidc-provider/` + issuer + `"}`,
			[]string{"arn:aws-cn:iam::111122223333:oidc-provider/" + issuer}, web, "another partition"},
		{"the provider of another cluster", `{"Federated":"` + account + `oidc-provider/` + otherIssuer + `"}`,
			[]string{account + "oidc-provider/" + otherIssuer}, web, "another issuer"},
		{"another account and cluster", `{"Federated":"arn:aws:iam::444455556666:oidc-provider/` + otherIssuer + `"}`,
			[]string{"arn:aws:iam::444455556666:oidc-provider/" + otherIssuer}, web,
			"another account, another issuer"},
		{"a provider with https://", `{"Federated":"` + account + `oidc-provider/https://` + issuer + `"}`,
			[]string{account + "oidc-provider/https://" + issuer}, web, "leave out https://"},
		{"a provider with a slash at the end", `{"Federated":"` + provider + `/"}`, []string{provider + "/"}, web, "leave out the slash at the end of the issuer"},
		{"a provider of IAM's own", `{"Federated":"accounts.google.com"}`, []string{"accounts.google.com"}, web, ""},
		{"no provider but the account", `{"AWS":"111122223333"}`, []string{"111122223333"}, web, "a web identity needs its provider as a Federated principal"},
		{"the cluster's role and another provider", `{"AWS":"111122223333","Federated":"arn:aws:iam::444455556666:oidc-provider/` + issuer + `"}`,
			[]string{"111122223333", "arn:aws:iam::444455556666:oidc-provider/" + issuer}, web, "another account"},
		{"a web identity of IAM's own", `{"Federated":"` + provider + `"}`, []string{provider}, trustpolicy.Principal{Federated: "accounts.google.com"}, ""},
		{"a provider for a role", `{"Federated":"` + provider + `"}`, []string{provider}, role, "only web identities are trusted"},
		{"the account of another", `{"AWS":"444455556666"}`, []string{"444455556666"}, role, "another account"},
		{"the account in another partition", `{"AWS":"arn:aws-us-gov:iam::111122223333:root"}`,
			[]string{"arn:aws-us-gov:iam::111122223333:root"}, role, "another partition"},
		{"the role of another account", `{"AWS":"arn:aws:iam::444455556666:role/cart"}`,
			[]string{"arn:aws:iam::444455556666:role/cart"}, role, "another account"},
		{"the role in another case", `{"AWS":"` + account + `role/Cart"}`, []string{account + "role/Cart"}, role, "they differ only in case"},
		{"another role", `{"AWS":"` + account + `role/other"}`, []string{account + "role/other"}, role, ""},
		{"another session", `{"AWS":"arn:aws:sts::111122223333:assumed-role/cart/s2"}`,
			[]string{"arn:aws:sts::111122223333:assumed-role/cart/s2"}, role, "another session of the role"},
		{"no principal", `"*"`, []string{"*"}, trustpolicy.Principal{}, "the request has no principal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := parse(t, `{"Statement":{"Effect":"Allow","Principal":`+tt.principal+`,"Action":"sts:*"}}`).
				Evaluate(trustpolicy.Request{Action: withWebIdentity, Principal: tt.request})
			var found []string
			for _, name := range []string{tt.request.Federated, tt.request.ARN, tt.request.Session} {
				if name != "" {
					found = append(found, name)
				}
			}
			assert.False(t, d.Allowed())
			assert.Equal(t, []trustpolicy.Mismatch{{Element: "Principal", Expected: tt.expected, Found: found, Advice: tt.advice}}, d.Statements[0].Mismatches)
		})
	}
}

func TestAdviceOnIssuerWithSlash(t *testing.T) {
	web := trustpolicy.WebIdentity{Provider: provider + "/", Issuer: "https://" + issuer + "/", Subject: cart}
	for written, want := range map[string]string{
		issuer:              "add the slash at the end of the issuer",
		"https://" + issuer: "leave out https://",
		otherIssuer:         `another issuer: the request has "` + issuer + `/:sub"`,
	} {
		text := `{"Statement":{"Effect":"Allow","Principal":{"Federated":"` + provider + `"},"Action":"sts:*","Condition":{"StringEquals":{"` + written + `:sub":"` + cart + `"}}}}`
		mismatches := parse(t, text).Evaluate(web.Request()).Statements[0].Mismatches
		require.Len(t, mismatches, 2)
		assert.Equal(t, "add the slash at the end of the issuer", mismatches[0].Advice)
		assert.Equal(t, want, mismatches[1].Advice)
	}
}

func TestAdviceOnActionForOtherRoleKind(t *testing.T) {
	want := []trustpolicy.Mismatch{{
		Element: "Action", Expected: []string{assumeRole}, Found: []string{withWebIdentity},
		Advice: "sts:AssumeRole is not enough: a web identity needs sts:AssumeRoleWithWebIdentity",
	}}
	d := parse(t, `{"Statement":{"Effect":"Allow","Principal":{"Federated":"`+provider+`"},"Action":"sts:AssumeRole"}}`).Evaluate(ofCart())
	assert.Equal(t, want, d.Statements[0].Mismatches)
}

func TestAdviceIsEmptyForDeny(t *testing.T) {
	d := parse(t, `{"Statement":{"Effect":"Deny","Principal":{"AWS":"444455556666"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"`+sub+`":"*"}}}}`).Evaluate(ofCart())
	assert.Equal(t, []trustpolicy.Mismatch{
		{Element: "Principal", Expected: []string{"444455556666"}, Found: []string{provider}},
		{Element: "Action", Expected: []string{assumeRole}, Found: []string{withWebIdentity}},
		condition("StringEquals", sub, "*", cart, ""),
	}, d.Statements[0].Mismatches)
}
