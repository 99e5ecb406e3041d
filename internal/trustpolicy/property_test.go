package trustpolicy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/internal/trustpolicy"
)

// draws returns the number of random cases per test.
func draws() int { return testsize.Choose(500, 2_000, 2_000) }

// random returns a random number generator that is seeded identically in every run.
func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func oneOf[T any](rnd *rand.Rand, all ...T) T { return all[rnd.IntN(len(all))] }

// anyStatement returns a random statement with the given effect. It matches often.
func anyStatement(rnd *rand.Rand, effect string) map[string]any {
	s := map[string]any{
		"Effect": effect,
		"Principal": oneOf[any](rnd, "*", map[string]string{"AWS": "111122223333"}, map[string]string{"Federated": provider},
			map[string]any{"AWS": []string{"arn:aws:iam::111122223333:role/r"}, "Federated": provider}),
		oneOf(rnd, "Action", "Action", "NotAction"): oneOf[any](rnd, "sts:*", "sts:AssumeRole*", assumeRole, withWebIdentity, []string{tagSession, assumeRole}),
	}
	if rnd.IntN(2) == 0 {
		set, exists := oneOf(rnd, "", "", "ForAnyValue:", "ForAllValues:"), oneOf(rnd, "", "IfExists")
		operator := set + oneOf(rnd, "StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "Bool", "NumericLessThan") + exists
		value := oneOf[any](rnd, "true", "true", 1)
		if strings.Contains(operator, "Numeric") {
			value = oneOf(rnd, 1, 2)
		} else if strings.Contains(operator, "Bool") {
			value = "true"
		}
		s["Condition"] = map[string]any{operator: map[string]any{oneOf(rnd, "k:a", "k:b"): value}}
	}
	return s
}

func anyRequest(rnd *rand.Rand) trustpolicy.Request {
	r := trustpolicy.Request{
		Action:    oneOf(rnd, assumeRole, withWebIdentity, tagSession),
		Principal: oneOf(rnd, trustpolicy.Principal{Federated: provider}, trustpolicy.Principal{ARN: "arn:aws:iam::111122223333:role/r"}),
		Context:   context{},
	}
	for _, key := range []string{"k:a", "k:b"} {
		if values := oneOf(rnd, nil, []string{}, []string{"true"}, []string{"1"}, []string{"true", "1"}, []string{""}); values != nil {
			r.Context[key] = values
		}
	}
	return r
}

func policyOf(t testing.TB, statements ...map[string]any) *trustpolicy.Policy {
	t.Helper()
	b, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	require.NoError(t, err)
	return parse(t, string(b))
}

func TestEvaluateDenyOverridesAllow(t *testing.T) {
	rnd := random()
	allowed, denied := 0, 0
	for range draws() {
		allows, denies := anyStatement(rnd, "Allow"), anyStatement(rnd, "Deny")
		r := anyRequest(rnd)
		if !policyOf(t, allows).Evaluate(r).Allowed() {
			continue
		}
		allowed++
		o := policyOf(t, denies).Evaluate(r).Statements[0]
		matches := len(o.Mismatches) == 0 // or may match
		for _, d := range []trustpolicy.Decision{policyOf(t, allows, denies).Evaluate(r), policyOf(t, denies, allows).Evaluate(r)} {
			require.Equal(t, !matches, d.Allowed(), "%v %v %+v", allows, denies, r)
		}
		if matches {
			denied++
		}
	}
	require.Greater(t, allowed, draws()/10)
	require.Greater(t, denied, draws()/50)
}

func TestEvaluateDenyForEveryoneOverridesAnyPolicy(t *testing.T) {
	const everyone = `{"Effect":"Deny","Principal":"*","Action":"*"}`
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	require.NoError(t, err)
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		var document struct{ Statement json.RawMessage }
		require.NoError(t, json.Unmarshal(b, &document))
		statements := strings.TrimSuffix(strings.TrimPrefix(string(document.Statement), "["), "]")
		p := parse(t, `{"Version":"2012-10-17","Statement":[`+statements+`,`+everyone+`]}`)
		for _, r := range fixedRequests() {
			require.False(t, p.Evaluate(r).Allowed(), file)
		}
	}
}

func TestEvaluateDenyMatchesWhatAllowMatches(t *testing.T) {
	rnd := random()
	for range draws() {
		s, r := anyStatement(rnd, "Allow"), anyRequest(rnd)
		if !policyOf(t, s).Evaluate(r).Allowed() {
			continue
		}
		s["Effect"] = "Deny"
		require.True(t, policyOf(t, s).Evaluate(r).Statements[0].Matches, "%v %+v", s, r)
	}
}

func TestEvaluateNeverAllowsUnnamedAction(t *testing.T) {
	all := []string{assumeRole, withWebIdentity, tagSession, "sts:AssumeRoleWithSAML", "sts:SetSourceIdentity", "sts:SetContext"}
	rnd := random()
	for range draws() {
		named := map[string]bool{}
		for range 1 + rnd.IntN(3) {
			named[oneOf(rnd, all...)] = true
		}
		s := anyStatement(rnd, "Allow")
		delete(s, "NotAction")
		s["Action"] = slices.Sorted(maps.Keys(named))
		p, r := policyOf(t, s), anyRequest(rnd)
		for _, r.Action = range slices.Concat(all, []string{"sts:*", "*", "", "s3:GetObject"}) {
			if p.Evaluate(r).Allowed() {
				require.True(t, named[r.Action], "%v %+v", s, r)
			}
		}
	}
}

func TestEvaluateDoesNotModifyPolicyOrRequest(t *testing.T) {
	rnd := random()
	for range draws() {
		p, r := policyOf(t, anyStatement(rnd, "Allow"), anyStatement(rnd, "Deny")), anyRequest(rnd)
		before := fmt.Sprintf("%+v", r)
		d := p.Evaluate(r)
		for _, o := range d.Statements {
			for _, m := range o.Mismatches {
				clear(m.Found)
				clear(m.Expected)
			}
		}
		require.Equal(t, before, fmt.Sprintf("%+v", r))
		require.Equal(t, d.Allowed(), p.Evaluate(r).Allowed())
		require.NotContains(t, p.Evaluate(r).String(), `expects ""`)
	}
}

// Review evaluates a policy once for each pattern in it, so a policy of IAM's maximum size has a million
// comparisons.
func TestEvaluateDoesNotParsePatternsAgain(t *testing.T) {
	const values = 1000
	list := make([]string, values)
	for i := range list {
		list[i] = fmt.Sprintf(`"*%d"`, i)
	}
	policy := parse(t, `{"Version":"2012-10-17","Statement":[`+web(`"StringLike":{"`+sub+`":[`+strings.Join(list, ",")+`]}`)+`]}`)
	request := cartToken().Request()
	assert.Less(t, testing.AllocsPerRun(10, func() { policy.Evaluate(request) }), 5.0*values)
}
