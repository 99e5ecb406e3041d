package trustpolicy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

func TestReviewNamesUnevaluatedAndBroadStatements(t *testing.T) {
	const byHand = "check manually what could not be evaluated"
	for _, tt := range []struct{ name, statements, want, advice string }{
		{"a strict policy", web(isCart), "allowed by statement 1", ""},
		{"a namespace", web(isSTS, `"StringLike":{"`+sub+`":"system:serviceaccount:shop:*"}`),
			"allowed by statement 1; statement 1 also allows every service account of the namespace shop", ""},
		{"no condition on the subject", web(isSTS),
			"allowed by statement 1; statement 1 is too broad: it also allows every token of " + issuer,
			`in statement 1, require StringEquals on "` + sub + `" to be "` + cart + `"`},
		{"a Sid, and no condition at all", allowing(`"Sid":"Cart"`),
			"allowed by statement 1 (Cart); statement 1 (Cart) is too broad: it also allows every token of " + issuer + " and tokens for every audience",
			`in statement 1 (Cart), require StringEquals on "` + sub + `" to be "` + cart + `", and require StringEquals on "` + aud + `" to be "sts.amazonaws.com"`},
		{"a condition that holds without the key", web(isSTS, `"ForAllValues:StringLike":{"`+sub+`":"`+cart+`"}`),
			"allowed by statement 1; statement 1 is too broad: it also allows tokens without a subject",
			`in statement 1, use a condition on "` + sub + `" that fails if the key is absent (without IfExists, ForAllValues or a negated operator)`},
		{"everyone", web(isCart) + "," + statementOf("Allow", `"*"`, `"Action":"sts:AssumeRole"`),
			"allowed by statement 1; statement 2 is too broad: it also allows every AWS account",
			"in statement 2, name the accounts or roles that may assume the role"},
		{"the organization, if there is one", web(isCart) + "," + statementOf("Allow", `"*"`, `"Action":"sts:AssumeRole"`, `"StringEqualsIfExists":{"aws:PrincipalOrgID":"o-1"}`),
			"allowed by statement 1; statement 2 is too broad: it also allows AWS accounts outside any organization",
			`in statement 2, use a condition on "aws:PrincipalOrgID" that fails if the key is absent (without IfExists, ForAllValues or a negated operator)`},
		{"every action", statementOf("Allow", `{"Federated":"`+provider+`"}`, `"Action":"sts:*"`, isCart),
			"allowed by statement 1; statement 1 is too broad: it also allows every action of STS",
			"in statement 1, allow only the actions it needs, such as sts:AssumeRoleWithWebIdentity"},
		{"an IP address for every token", web(isSTS, `"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}`),
			`Allow in statement 1 cannot be evaluated: IpAddress on "aws:SourceIp" (its value is known only to AWS); statement 1 may be too broad: it may also allow every token of ` + issuer,
			`check manually what could not be evaluated; in statement 1, require StringEquals on "` + sub + `" to be "` + cart + `"`},
		{"two keys that only AWS knows", web(isCart, `"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}`, `"DateLessThan":{"aws:CurrentTime":"2030-01-01"}`),
			`Allow in statement 1 cannot be evaluated: IpAddress on "aws:SourceIp" (its value is known only to AWS), and DateLessThan on "aws:CurrentTime" (its value is known only to AWS)`, byHand},
		{"an undetermined Deny", web(isCart) + "," + statementOf("Deny", `"*"`, `"Action":"*"`, `"Bool":{"aws:SecureTransport":"false"}`),
			`allowed by statement 1, unless denied; Deny in statement 2 cannot be evaluated: Bool on "aws:SecureTransport" (its value is known only to AWS)`, byHand},
		{"an operator", web(isCart, `"StringMatches":{"`+sub+`":"a"}`),
			`Allow in statement 1 cannot be evaluated: StringMatches on "` + sub + `" (unsupported operator)`, byHand},
		{"a value of another type", web(isCart, `"IpAddress":{"sts:RoleSessionName":"10.0.0.0/8"}`),
			`Allow in statement 1 cannot be evaluated: IpAddress on "sts:RoleSessionName" (AWS does not document its result for "cart-7d9c4b5f6d-x2x7k")`, byHand},
		{"a web identity as any principal", statementOf("Allow", `"*"`, `"Action":"sts:AssumeRoleWithWebIdentity"`, isCart),
			"Allow in statement 1 cannot be evaluated: Principal (a web identity needs its provider as a Federated principal)", byHand},
	} {
		t.Run(tt.name, func(t *testing.T) {
			review := parse(t, `{"Version":"2012-10-17","Statement":[`+tt.statements+`]}`).Review(cartToken())
			assert.Equal(t, tt.want, review.String())
			assert.Equal(t, tt.advice, review.Advice())
			assert.Equal(t, strings.Contains(tt.advice, "in statement"), review.TooBroad())
		})
	}
}

func TestReviewOfTokenWithTwoAudiences(t *testing.T) {
	w := cartToken()
	w.Audiences = []string{audience, "vault"}
	review := parse(t, document(`"Condition":{`+isCart+`}`)).Review(w)
	assert.Equal(t, trustpolicy.Undetermined, review.Decision.Verdict)
	assert.Contains(t, review.String(), "the key has several values: use ForAnyValue:StringEquals")
}

func TestReviewTextNamesThreeStatements(t *testing.T) {
	statements := []string{web(isCart)}
	for range 5 {
		statements = append(statements, web(isSTS))
	}
	review := parse(t, `{"Statement":[`+strings.Join(statements, ",")+`]}`).Review(cartToken())
	assert.Len(t, review.Findings, 5)
	assert.Equal(t, 3, strings.Count(review.String(), "is too broad"))
	assert.True(t, strings.HasSuffix(review.String(), "; 2 more statements allow unintended principals"), review)
	assert.Equal(t, 3, strings.Count(review.Advice(), "in statement"))

	namespace := web(isSTS, `"StringLike":{"`+sub+`":"system:serviceaccount:shop:*"}`)
	review = parse(t, `{"Statement":[`+strings.Join([]string{namespace, namespace, namespace, web(isSTS)}, ",")+`]}`).Review(cartToken())
	assert.Contains(t, review.String(), "allowed by statement 1; statement 4 is too broad: ", "warnings precede notes")
	assert.NotEmpty(t, review.Advice())
}

func TestReviewEvaluatesTagsAndSourceIdentityInClaims(t *testing.T) {
	nested := map[string]any{"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{"team": []any{"blue"}}, "transitive_tag_keys": []any{"team"}}}
	flat := map[string]any{"https://aws.amazon.com/tags/principal_tags/team": "blue", "https://aws.amazon.com/tags/transitive_tag_keys": []any{"team"}}
	identity := map[string]any{"https://aws.amazon.com/source_identity": "Saanvi"}
	both, blue := `"Action":["sts:AssumeRoleWithWebIdentity","sts:TagSession"]`, `"StringLike":{"aws:RequestTag/team":"blue"}`
	for _, tt := range []struct {
		claims               map[string]any
		statement, want, how string
	}{
		{nil, statementOf("Allow", `{"Federated":"`+provider+`"}`, both, isCart, blue), "denied", `StringLike on "aws:RequestTag/team"`},
		{nested, statementOf("Allow", `{"Federated":"`+provider+`"}`, both, isCart, blue), "allowed", ""},
		{flat, statementOf("Allow", `{"Federated":"`+provider+`"}`, both, isCart, blue, `"ForAllValues:StringEquals":{"sts:TransitiveTagKeys":["team"]}`), "allowed", ""},
		{nested, web(isCart), "denied", "(the session has tags)"},
		{identity, web(isCart), "denied", "(the session has a source identity)"},
		{identity, web(isCart) + "," + statementOf("Allow", `"*"`, `"Action":"sts:SetSourceIdentity"`), "undetermined", "needs its provider"},
	} {
		w := cartToken()
		w.SetClaims(tt.claims)
		review := parse(t, `{"Version":"2012-10-17","Statement":[`+tt.statement+`]}`).Review(w)
		assert.Equal(t, tt.want, review.Decision.Verdict.String(), review)
		assert.Contains(t, review.String(), tt.how)
	}
}

func TestReviewAdvisesTokenAudience(t *testing.T) {
	w := cartToken()
	p := parse(t, document(`"Condition":{"StringEquals":{"`+sub+`":"`+cart+`"}}`))
	for want, audiences := range map[string][]string{audience: {"vault", audience}, "vault": {"vault", "consul"}} {
		w.Audiences = audiences
		assert.Equal(t, `in statement 1, require StringEquals on "`+aud+`" to be "`+want+`"`, p.Review(w).Advice())
	}
}

func TestReviewOfNonServiceAccountSubject(t *testing.T) {
	w := cartToken()
	w.Subject = "repo:shop/cart:ref:refs/heads/main"
	assert.Equal(t, "allowed by statement 1; statement 1 is too broad: it also allows every token of "+issuer,
		parse(t, document(`"Condition":{`+isSTS+`}`)).Review(w).String())
	assert.Empty(t, parse(t, document(`"Condition":{`+isSTS+`,"StringLike":{"`+sub+`":"repo:shop/cart:*"}}`)).Review(w).Findings)
}

// The issuer of GitHub serves every repository, so that a wildcard in place of its owner includes those
// of strangers.
func TestReviewFindsWildcardForOwner(t *testing.T) {
	const github = "token.actions.githubusercontent.com"
	for pattern, broad := range map[string]bool{
		"repo:*": true, "repo:*/cart:*": true, "repo:?*/cart:ref:refs/heads/main": true, "*:ref:refs/heads/main": true,
		"repo:shop/*": false, "repo:shop*": false, "repo:shop/cart:ref:refs/heads/main": false,
	} {
		statement := statementOf("Allow", `{"Federated":"arn:aws:iam::111122223333:oidc-provider/`+github+`"}`, `"Action":"sts:AssumeRoleWithWebIdentity"`,
			`"StringEquals":{"`+github+`:aud":"sts.amazonaws.com"}`, `"StringLike":{"`+github+`:sub":"`+pattern+`"}`)
		review := parse(t, `{"Statement":[`+web(isCart)+`,`+statement+`]}`).Review(cartToken())
		assert.Equal(t, broad, review.TooBroad(), "%s: %s", pattern, review)
		if broad {
			assert.Contains(t, review.String(), "statement 2 is too broad: it also allows tokens of "+github+" with subjects like "+pattern)
			assert.Contains(t, review.Advice(), `in statement 2, name the owner, such as the organization, in the condition on "`+github+`:sub"`)
		}
	}
}

func TestWebIdentityRequest(t *testing.T) {
	w := cartToken()
	r := w.Request()
	assert.Equal(t, withWebIdentity, r.Action)
	assert.Equal(t, trustpolicy.Principal{Federated: provider}, r.Principal)
	assert.Equal(t, map[string][]string{
		aud: {audience}, sub: {cart}, "sts:RoleSessionName": {w.SessionName}, "aws:FederatedProvider": {provider},
	}, r.Context)
	for _, w.Issuer = range []string{issuer, "http://" + issuer} {
		assert.Equal(t, r.Context, w.Request().Context)
	}
	w.Methods, w.SourceIdentity, w.Tags, w.TransitiveTags = []string{"a"}, "Saanvi", map[string][]string{"b": {"1"}, "a": {"2"}}, []string{"a"}
	assert.Equal(t, map[string][]string{
		aud: {audience}, sub: {cart}, issuer + ":amr": {"a"}, "sts:RoleSessionName": {w.SessionName}, "aws:FederatedProvider": {provider},
		"sts:SourceIdentity": {"Saanvi"}, "aws:RequestTag/a": {"2"}, "aws:RequestTag/b": {"1"}, "aws:TagKeys": {"a", "b"}, "sts:TransitiveTagKeys": {"a"},
	}, w.Request().Context)
	for key, want := range map[string]bool{
		"aws:sourceip": true, "aws:currenttime": true, "aws:requestedregion": true, "aws:newkey": true, "sts:newkey": true, "iam:resourcetag/team": true,
		"aws:principalarn": false, "aws:requesttag/team": false, "sts:externalid": false, "s3:prefix": false, otherIssuer + ":sub": false,
	} {
		assert.Equal(t, want, r.Unknown(key), key)
	}
}

// TestReviewOfExamples checks that the policies in the examples and the README, which readers copy,
// have no findings.
func TestReviewOfExamples(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "examples", "*", "kubernetes", "*trust-policy.json"))
	require.NoError(t, err)
	documents := map[string]string{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		documents[file] = string(b)
	}
	b, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(string(b), -1) {
		if strings.Contains(block[1], "AssumeRoleWithWebIdentity") {
			documents["README.md"] = block[1]
		}
	}
	require.Contains(t, documents, "README.md")
	require.Greater(t, len(documents), 6)
	federated := regexp.MustCompile(`"(arn:aws:iam::\d+:oidc-provider/(.*?))"`)
	subject := regexp.MustCompile(`"(system:serviceaccount:.*?)"`)
	for name, text := range documents {
		w := cartToken()
		if found := federated.FindStringSubmatch(text); found != nil {
			w.Provider, w.Issuer, w.Subject = found[1], found[2], subject.FindStringSubmatch(text)[1]
			assert.Equal(t, "allowed by statement 1", parse(t, text).Review(w).String(), name)
		}
		assert.Empty(t, parse(t, text).Review(w).Findings, name)
	}
}

func TestReviewOfToolPolicies(t *testing.T) {
	for file, want := range map[string]string{
		"eksctl.json":            "allowed by statement 1",
		"eks-user-guide.json":    "allowed by statement 1",
		"terraform-equals.json":  "allowed by statement 1",
		"terraform-subject.json": "allowed by statement 1; statement 1 is too broad: it also allows tokens for every audience",
		"cloudformation.json":    "allowed by statement 1; statement 1 is too broad: it also allows tokens for every audience",
		"no-condition.json":      "allowed by statement 1; statement 1 is too broad: it also allows every token of " + issuer + " and tokens for every audience",
	} {
		assert.Equal(t, want, parse(t, string(read(t, file))).Review(cartToken()).String(), file)
	}
}

func TestReviewFindsNothingIfAllPrincipalsAreDenied(t *testing.T) {
	rnd := random()
	for range draws() {
		p := policyOf(t, anyStatement(rnd, "Allow"), map[string]any{"Effect": "Deny", "Principal": "*", "Action": "*"})
		review := p.Review(cartToken())
		require.Equal(t, trustpolicy.Denied, review.Decision.Verdict)
		require.Empty(t, review.Findings)
	}
}

func TestReviewFindsEveryoneIfEveryoneIsAllowed(t *testing.T) {
	rnd := random()
	for range draws() {
		p := policyOf(t, anyStatement(rnd, "Allow"), map[string]any{"Effect": "Allow", "Principal": "*", "Action": "*"})
		findings := p.Review(cartToken()).Findings
		require.NotEmpty(t, findings)
		last := findings[len(findings)-1]
		require.Equal(t, trustpolicy.Finding{Statement: "statement 2", Principals: []string{anyAccount, anyAction}, Certain: true}.String(), last.String())
	}
}

// TestEvaluateDecidesOnlyCertainCases fills in unknown values of a request. They must never reverse a
// verdict.
func TestEvaluateDecidesOnlyCertainCases(t *testing.T) {
	rnd := random()
	counts := map[trustpolicy.Verdict]int{}
	for range draws() {
		p := policyOf(t, anyStatement(rnd, "Allow"), anyStatement(rnd, oneOf(rnd, "Allow", "Deny")))
		r := anyRequest(rnd)
		delete(r.Context, "k:a")
		r.Unknown = func(key string) bool { return key == "k:a" }
		before := p.Evaluate(r)
		counts[before.Verdict]++
		r.Unknown = nil
		for _, values := range [][]string{nil, {"true"}, {"1"}, {"false"}, {"0"}, {"2"}} {
			r.Context["k:a"] = values
			after := p.Evaluate(r)
			if before.Verdict != trustpolicy.Undetermined {
				require.Equal(t, before.Verdict, after.Verdict, "%s, and with %q %s", before, values, after)
			}
		}
	}
	for _, v := range []trustpolicy.Verdict{trustpolicy.Denied, trustpolicy.Undetermined, trustpolicy.Allowed} {
		assert.Greater(t, counts[v], draws()/20, v)
	}
}

func TestEvaluateEvaluatesEachConditionOnce(t *testing.T) {
	for _, n := range []int{10, 100} {
		conditions := map[string]string{}
		for i := range n {
			conditions[fmt.Sprintf("k:%d", i)] = "a"
		}
		b, err := json.Marshal(conditions)
		require.NoError(t, err)
		r, calls := ofCart(), 0
		r.Unknown = func(string) bool { calls++; return true }
		require.Equal(t, trustpolicy.Undetermined, parse(t, document(`"Condition":{"StringEquals":`+string(b)+`}`)).Evaluate(r).Verdict)
		assert.Equal(t, n, calls)
	}
}
