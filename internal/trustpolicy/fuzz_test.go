package trustpolicy_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

// fixedRequests returns one request of each kind.
func fixedRequests() []trustpolicy.Request {
	const role = "arn:aws:iam::111122223333:role/cart"
	asRole := by(role, assumeRole, context{"aws:PrincipalArn": {role}, "sts:ExternalId": {"12345"}, "aws:username": {"a", "b"}})
	asRole.Principal.Session = "arn:aws:sts::111122223333:assumed-role/cart/s1"
	return []trustpolicy.Request{
		{},
		ofCart(),
		webIdentity(otherIssuer, "system:serviceaccount:canary:cart"),
		with(ofCart(), aud, "", "\xff"),
		asRole,
		by("arn:aws:iam::123456789012:user/test-session-tags", tagSession, tags("Marketing")),
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	require.NoError(f, err)
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(b)
	}
	for _, seed := range []string{
		"", "{}", "[]", `{"Statement":[]}`, `{"Statement":{"Effect":"Deny","Principal":"*","Action":"*"}}`,
		document(`"Condition":{"ForAnyValue:StringLikeIfExists":{"k:k":["${aws:username, 'a'}*","${*}",true,1.5]}}`),
		document(`"Condition":{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","::1"]},"DateLessThanIfExists":{"aws:CurrentTime":"2026-01-01"},"StringMatches":{"k:k":"a"}}`),
		document(`"Condition":{"StringLike":{"` + sub + `":"${aws:SourceVpc}*","sts:RoleSessionName":["${aws:username}","a"]},"Null":{"aws:SourceVpce":"false"}}`),
		document(`"Condition":{"ArnNotLike":{"aws:PrincipalArn":"*:*:*:*:*:*"},"NumericLessThan":{"k:k":-1},"Null":{"k:k":"true"}}`),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		p, err := trustpolicy.Parse(document)
		if err != nil {
			require.Nil(t, p)
			require.True(t, strings.HasPrefix(err.Error(), "trustpolicy: "), err)
			return
		}
		require.True(t, json.Valid(document))
		for _, r := range fixedRequests() {
			requireSound(t, p.Evaluate(r), r)
		}
		for _, w := range []trustpolicy.WebIdentity{{}, cartToken()} {
			review := p.Review(w)
			requireSound(t, review.Decision, w.Request())
			require.NotContains(t, review.String()+review.Advice(), "\n")
			require.Equal(t, review.TooBroad() || review.Decision.Verdict == trustpolicy.Undetermined, review.Advice() != "")
		}
	})
}

// requireSound checks the properties that hold for every decision.
func requireSound(t *testing.T, d trustpolicy.Decision, r trustpolicy.Request) {
	t.Helper()
	require.NotEmpty(t, d.String())
	require.NotContains(t, d.String(), "\n")
	allows, denies := false, false
	for i, o := range d.Statements {
		require.Equal(t, i+1, o.Index)
		require.Equal(t, o.Matches, len(o.Mismatches)+len(o.Undetermined) == 0)
		allows = allows || o.Matches && o.Effect == "Allow"
		denies = denies || len(o.Mismatches) == 0 && o.Effect == "Deny"
	}
	require.Equal(t, allows && !denies, d.Allowed())
	require.False(t, d.Allowed() && r.Action == "", "a request that asks for nothing")
}

// FuzzWildcards compares pattern matching with regular expressions.
func FuzzWildcards(f *testing.F) {
	for _, seed := range [][2]string{
		{"", ""}, {"*", ""}, {"?", "é"}, {"a*b?c", "axxbxc"}, {"*ab*ab", "abab"}, {"**?", "a\nb"}, {"a.(", "a.("}, {"$*", "${a}"}, {"*", "\xff"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if !utf8.ValidString(text) || len(pattern) > 1000 || strings.ContainsFunc(pattern, func(r rune) bool { return r > 0xFF }) {
			t.Skip()
		}
		escaped := strings.NewReplacer(`\*`, `(?s:.*)`, `\?`, `(?s:.)`).Replace(regexp.QuoteMeta(pattern))
		want := regexp.MustCompile(`\A` + escaped + `\z`).MatchString(text)
		// Without a Version, the pattern has no variables.
		p, err := trustpolicy.Parse([]byte(`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Condition":{"StringLike":{"k:k":` + quote(pattern) + `}}}}`))
		if err != nil {
			require.ErrorContains(t, err, "Latin-1") // json.Marshal has replaced invalid UTF-8
			return
		}
		require.Equal(t, want, p.Evaluate(by("arn:aws:iam::111122223333:role/r", assumeRole, context{"k:k": {text}})).Allowed())
	})
}

// FuzzEvaluate compares the results of an operator and its negation in an Allow and in a
// Deny.
func FuzzEvaluate(f *testing.F) {
	for _, seed := range [][3]string{
		{"a", "a", ""}, {"a*", "ab", "a"}, {"${k:b}", "a", "a"}, {"${k:c, 'a'}*", "ab", ""}, {"${*}", "*", "x"}, {"${", "", ""}, {"arn:aws:iam::1:*", "arn:aws:iam::1:role/r", "a"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, value, a, b string) {
		r := by("arn:aws:iam::111122223333:role/r", assumeRole, context{"k:a": {a}, "k:b": {b}})
		for operator, negation := range map[string]string{
			"StringEquals": "StringNotEquals", "StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase", "StringLike": "StringNotLike", "ArnLike": "ArnNotLike",
		} {
			matches := func(effect, operator string) bool {
				p, err := trustpolicy.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"` + effect + `","Principal":"*","Action":"*","Condition":{"` + operator + `":{"k:a":` + quote(value) + `}}}}`))
				if err != nil {
					t.Skip()
				}
				d := p.Evaluate(r)
				requireSound(t, d, r)
				if effect == "Deny" { // or may match
					return len(d.Statements[0].Mismatches) == 0
				}
				return d.Statements[0].Matches
			}
			require.Equal(t, matches("Allow", operator), !matches("Deny", negation), operator)
			require.Equal(t, matches("Allow", negation), !matches("Deny", operator), operator)
			require.False(t, matches("Allow", operator) && matches("Allow", negation), operator)
		}
	})
}
