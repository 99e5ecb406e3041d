package trustpolicy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

// Verdicts for a policy.
const (
	allowed      = "allowed"
	denied       = "denied"
	undetermined = "undetermined"
)

// Results of a condition: true, false, or left open by IAM's documentation. An open condition is
// undetermined in both an Allow and a Deny. An invalid condition, which has a policy variable without
// a value, makes an Allow statement not match.
const (
	isTrue  = "true"
	isFalse = "false"
	isOpen  = "open"
	invalid = "invalid"
)

// requireVerdict checks the verdicts for a condition in an Allow and in a Deny.
func requireVerdict(t *testing.T, want, version, condition string, keys context) {
	t.Helper()
	const head = `"Principal":{"Federated":"` + provider + `"},"Action":"sts:AssumeRoleWithWebIdentity"`
	request := trustpolicy.Request{Action: withWebIdentity, Principal: trustpolicy.Principal{Federated: provider}, Context: keys}
	allows := parse(t, `{"Version":"`+version+`","Statement":{"Effect":"Allow",`+head+`,"Condition":{`+condition+`}}}`).Evaluate(request)
	assert.Equal(t, map[string]string{isTrue: allowed, isFalse: denied, isOpen: undetermined, invalid: denied}[want], allows.Verdict.String(), "in an Allow: %s", allows)
	denies := parse(t, `{"Version":"`+version+`","Statement":[{"Effect":"Allow",`+head+`},{"Effect":"Deny",`+head+`,"Condition":{`+condition+`}}]}`).Evaluate(request)
	assert.Equal(t, map[string]string{isTrue: denied, isFalse: allowed, isOpen: undetermined, invalid: undetermined}[want], denies.Verdict.String(), "in a Deny: %s", denies)
	for _, d := range []trustpolicy.Decision{allows, denies} {
		for _, o := range d.Statements {
			assert.Equal(t, o.Matches, len(o.Mismatches)+len(o.Undetermined) == 0)
		}
	}
}

func TestEvaluateConditions(t *testing.T) {
	for _, tt := range []struct {
		name      string
		condition string
		found     []string // values of the key k:k
		want      string
	}{
		{"StringEquals: the same", `"StringEquals":{"k:k":"a"}`, []string{"a"}, isTrue},
		{"StringEquals: another", `"StringEquals":{"k:k":"a"}`, []string{"b"}, isFalse},
		{"StringEquals: another case", `"StringEquals":{"k:k":"a"}`, []string{"A"}, isFalse},
		{"StringEquals: the key in another case", `"StringEquals":{"K:K":"a"}`, []string{"a"}, isTrue},
		{"StringEquals: one of several", `"StringEquals":{"k:k":["a","b"]}`, []string{"b"}, isTrue},
		{"StringEquals: no key", `"StringEquals":{"k:k":"a"}`, nil, isFalse},
		{"StringEquals: a key without values", `"StringEquals":{"k:k":"a"}`, []string{}, isFalse},
		{"StringEquals: an empty value", `"StringEquals":{"k:k":""}`, []string{""}, isTrue},
		{"StringEquals: an empty value is no key that is absent", `"StringEquals":{"k:k":""}`, nil, isFalse},
		{"StringEquals: a wildcard is a character", `"StringEquals":{"k:k":"a*"}`, []string{"ab"}, isFalse},
		{"StringEquals: a wildcard equals itself", `"StringEquals":{"k:k":"a*?"}`, []string{"a*?"}, isTrue},
		{"StringEquals: several values of which one is", `"StringEquals":{"k:k":"a"}`, []string{"a", "b"}, isOpen},
		{"StringEquals: several values which all are", `"StringEquals":{"k:k":["a","b"]}`, []string{"a", "b"}, isOpen},
		{"StringEquals: several values of which none is", `"StringEquals":{"k:k":"a"}`, []string{"b", "c"}, isFalse},
		{"StringNotEquals: the same", `"StringNotEquals":{"k:k":"a"}`, []string{"a"}, isFalse},
		{"StringNotEquals: another", `"StringNotEquals":{"k:k":"a"}`, []string{"b"}, isTrue},
		{"StringNotEquals: none of several", `"StringNotEquals":{"k:k":["a","b"]}`, []string{"c"}, isTrue},
		{"StringNotEquals: one of several", `"StringNotEquals":{"k:k":["a","b"]}`, []string{"a"}, isFalse},
		{"StringNotEquals: no key", `"StringNotEquals":{"k:k":"a"}`, nil, isTrue},
		{"StringNotEquals: several values of which one is", `"StringNotEquals":{"k:k":"a"}`, []string{"a", "b"}, isOpen},
		{"StringNotEquals: several values which all are", `"StringNotEquals":{"k:k":["a","b"]}`, []string{"a", "b"}, isFalse},
		{"StringEqualsIgnoreCase: another case", `"StringEqualsIgnoreCase":{"k:k":"aB"}`, []string{"Ab"}, isTrue},
		{"StringEqualsIgnoreCase: another", `"StringEqualsIgnoreCase":{"k:k":"aB"}`, []string{"Ac"}, isFalse},
		{"StringNotEqualsIgnoreCase: another case", `"StringNotEqualsIgnoreCase":{"k:k":"aB"}`, []string{"Ab"}, isFalse},
		{"StringNotEqualsIgnoreCase: another", `"StringNotEqualsIgnoreCase":{"k:k":"aB"}`, []string{"Ac"}, isTrue},
		{"StringLike: the same", `"StringLike":{"k:k":"a"}`, []string{"a"}, isTrue},
		{"StringLike: only a part", `"StringLike":{"k:k":"a"}`, []string{"ab"}, isFalse},
		{"StringLike: another case", `"StringLike":{"k:k":"a*"}`, []string{"AB"}, isFalse},
		{"StringLike: * stands for nothing", `"StringLike":{"k:k":"a*b"}`, []string{"ab"}, isTrue},
		{"StringLike: * stands for several, of any kind", `"StringLike":{"k:k":"a*b"}`, []string{"a:/\n*b"}, isTrue},
		{"StringLike: * is tried again", `"StringLike":{"k:k":"*ab*cd"}`, []string{"aabcab.cd"}, isTrue},
		{"StringLike: * at the end", `"StringLike":{"k:k":"a**"}`, []string{"a"}, isTrue},
		{"StringLike: only *", `"StringLike":{"k:k":"*"}`, []string{""}, isTrue},
		{"StringLike: only * and no key", `"StringLike":{"k:k":"*"}`, nil, isFalse},
		{"StringLike: ? stands for one", `"StringLike":{"k:k":"a?c"}`, []string{"abc"}, isTrue},
		{"StringLike: ? stands for one character of two bytes", `"StringLike":{"k:k":"a?c"}`, []string{"aéc"}, isTrue},
		{"StringLike: ? does not stand for nothing", `"StringLike":{"k:k":"ac?"}`, []string{"ac"}, isFalse},
		{"StringLike: dots and brackets are characters", `"StringLike":{"k:k":"a.[b]\\"}`, []string{`a.[b]\`}, isTrue},
		{"StringLike: a dot is no wildcard", `"StringLike":{"k:k":"a.c"}`, []string{"abc"}, isFalse},
		{"StringLike: a wildcard in the request is a character", `"StringLike":{"k:k":"abc"}`, []string{"a*"}, isFalse},
		{"StringNotLike: of the pattern", `"StringNotLike":{"k:k":"a*"}`, []string{"ab"}, isFalse},
		{"StringNotLike: not of the pattern", `"StringNotLike":{"k:k":"a*"}`, []string{"ba"}, isTrue},
		{"StringNotLike: no key", `"StringNotLike":{"k:k":"*"}`, nil, isTrue},

		{"ArnEquals: the same", `"ArnEquals":{"k:k":"arn:aws:iam::1:role/a"}`, []string{"arn:aws:iam::1:role/a"}, isTrue},
		{"ArnEquals: with a wildcard, as ArnLike", `"ArnEquals":{"k:k":"arn:aws:iam::1:role/*"}`, []string{"arn:aws:iam::1:role/a"}, isTrue},
		{"ArnLike: a wildcard stays in its component", `"ArnLike":{"k:k":"arn:aws:s:*:111122223333:finance/*"}`,
			[]string{"arn:aws:s:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"}, isFalse},
		{"ArnLike: the last component may have colons", `"ArnLike":{"k:k":"arn:aws:s:::a*c"}`, []string{"arn:aws:s:::a:b:c"}, isTrue},
		{"ArnLike: the last component of the pattern may have colons", `"ArnLike":{"k:k":"arn:aws:s:::a:b:?"}`, []string{"arn:aws:s:::a:b:c"}, isTrue},
		{"ArnLike: another case", `"ArnLike":{"k:k":"arn:aws:iam::1:role/A"}`, []string{"arn:aws:iam::1:role/a"}, isFalse},
		{"ArnLike: what is no ARN", `"ArnLike":{"k:k":"*:*:*:*:*:*"}`, []string{"a"}, isOpen},
		{"ArnLike: no key", `"ArnLike":{"k:k":"arn:*:*:*:*:*"}`, nil, isFalse},
		{"ArnNotEquals: the same", `"ArnNotEquals":{"k:k":"arn:aws:iam::1:role/a"}`, []string{"arn:aws:iam::1:role/a"}, isFalse},
		{"ArnNotLike: of the pattern", `"ArnNotLike":{"k:k":"arn:aws:iam::1:*"}`, []string{"arn:aws:iam::1:role/a"}, isFalse},
		{"ArnNotLike: not of the pattern", `"ArnNotLike":{"k:k":"arn:aws:iam::2:*"}`, []string{"arn:aws:iam::1:role/a"}, isTrue},
		{"ArnNotLike: no key", `"ArnNotLike":{"k:k":"arn:aws:iam::2:*"}`, nil, isTrue},
		{"ArnNotLike: what is no ARN", `"ArnNotLike":{"k:k":"arn:aws:iam::2:*"}`, []string{"a"}, isOpen},

		{"Bool: the same", `"Bool":{"k:k":"true"}`, []string{"true"}, isTrue},
		{"Bool: the other", `"Bool":{"k:k":"true"}`, []string{"false"}, isFalse},
		{"Bool: in another case", `"Bool":{"k:k":"True"}`, []string{"tRUE"}, isTrue},
		{"Bool: a literal", `"Bool":{"k:k":false}`, []string{"false"}, isTrue},
		{"Bool: what is none", `"Bool":{"k:k":"false"}`, []string{"no"}, isOpen},
		{"Bool: no key", `"Bool":{"k:k":"false"}`, nil, isFalse},
		{"Null: true and no key", `"Null":{"k:k":"true"}`, nil, isTrue},
		{"Null: true and a key", `"Null":{"k:k":"true"}`, []string{"a"}, isFalse},
		{"Null: false and a key", `"Null":{"k:k":false}`, []string{"a", "b"}, isTrue},
		{"Null: false and no key", `"Null":{"k:k":false}`, nil, isFalse},
		{"Null: false and an empty value", `"Null":{"k:k":false}`, []string{""}, isOpen},
		{"Null: true and an empty value", `"Null":{"k:k":true}`, []string{""}, isOpen},

		{"NumericEquals: the same", `"NumericEquals":{"k:k":"10"}`, []string{"10.0"}, isTrue},
		{"NumericEquals: another that a float64 does not tell apart", `"NumericEquals":{"k:k":9007199254740993}`, []string{"9007199254740992"}, isFalse},
		{"NumericEquals: what is no number", `"NumericEquals":{"k:k":"10"}`, []string{"ten"}, isOpen},
		{"NumericEquals: no key", `"NumericEquals":{"k:k":"10"}`, nil, isFalse},
		{"NumericNotEquals: the same", `"NumericNotEquals":{"k:k":"10"}`, []string{"10"}, isFalse},
		{"NumericNotEquals: another", `"NumericNotEquals":{"k:k":"10"}`, []string{"-10"}, isTrue},
		{"NumericNotEquals: no key", `"NumericNotEquals":{"k:k":"10"}`, nil, isTrue},
		{"NumericLessThan: less", `"NumericLessThan":{"k:k":"10"}`, []string{"9"}, isTrue},
		{"NumericLessThan: the same", `"NumericLessThan":{"k:k":"10"}`, []string{"10"}, isFalse},
		{"NumericLessThanEquals: the same", `"NumericLessThanEquals":{"k:k":"10"}`, []string{"10"}, isTrue},
		{"NumericLessThanEquals: more", `"NumericLessThanEquals":{"k:k":"10"}`, []string{"11"}, isFalse},
		{"NumericGreaterThan: more", `"NumericGreaterThan":{"k:k":"9.5"}`, []string{"10"}, isTrue},
		{"NumericGreaterThan: the same", `"NumericGreaterThan":{"k:k":"10"}`, []string{"10"}, isFalse},
		{"NumericGreaterThanEquals: the same", `"NumericGreaterThanEquals":{"k:k":"10"}`, []string{"10"}, isTrue},
		{"NumericGreaterThanEquals: less", `"NumericGreaterThanEquals":{"k:k":"10"}`, []string{"9"}, isFalse},

		{"DateEquals: the same in another zone", `"DateEquals":{"k:k":"2026-04-01T02:00:00+02:00"}`, []string{"2026-04-01T00:00:00Z"}, isTrue},
		{"DateEquals: the same in seconds", `"DateEquals":{"k:k":"1775001600"}`, []string{"2026-04-01T00:00:00Z"}, isTrue},
		{"DateNotEquals: the same day", `"DateNotEquals":{"k:k":"2026-04-01"}`, []string{"2026-04-01T00:00:00Z"}, isFalse},
		{"DateNotEquals: no key", `"DateNotEquals":{"k:k":"2026-04-01"}`, nil, isTrue},
		{"DateLessThan: earlier", `"DateLessThan":{"k:k":"2026-04-01T00:00:00Z"}`, []string{"2026-03-31T23:59:59Z"}, isTrue},
		{"DateLessThan: the same", `"DateLessThan":{"k:k":"2026-04-01T00:00:00Z"}`, []string{"2026-04-01T00:00:00Z"}, isFalse},
		{"DateLessThanEquals: the same", `"DateLessThanEquals":{"k:k":"2026-04-01T00:00:00Z"}`, []string{"2026-04-01T00:00:00Z"}, isTrue},
		{"DateGreaterThan: the same", `"DateGreaterThan":{"k:k":"2026-04-01T00:00Z"}`, []string{"2026-04-01T00:00:00Z"}, isFalse},
		{"DateGreaterThan: later, of a year", `"DateGreaterThan":{"k:k":"2026"}`, []string{"2026-04-01T00:00:00Z"}, isTrue},
		{"DateGreaterThanEquals: the same", `"DateGreaterThanEquals":{"k:k":"2026-04"}`, []string{"2026-04-01T00:00:00Z"}, isTrue},
		{"DateGreaterThan: what is no date", `"DateGreaterThan":{"k:k":"2026"}`, []string{"soon"}, isOpen},
		{"DateGreaterThan: no key", `"DateGreaterThan":{"k:k":"2026"}`, nil, isFalse},

		{"IpAddress: in the network", `"IpAddress":{"k:k":["198.51.100.0/24","203.0.113.0/24"]}`, []string{"203.0.113.7"}, isTrue},
		{"IpAddress: the same address", `"IpAddress":{"k:k":"203.0.113.7"}`, []string{"203.0.113.7"}, isTrue},
		{"IpAddress: in another network", `"IpAddress":{"k:k":"203.0.113.0/24"}`, []string{"203.0.114.7"}, isFalse},
		{"IpAddress: of IPv6", `"IpAddress":{"k:k":"2001:DB8:1234:5678::/64"}`, []string{"2001:db8:1234:5678::1"}, isTrue},
		{"IpAddress: of IPv4 in a network of IPv6", `"IpAddress":{"k:k":"::/0"}`, []string{"203.0.113.7"}, isFalse},
		{"IpAddress: what is no address", `"IpAddress":{"k:k":"203.0.113.0/24"}`, []string{"here"}, isOpen},
		{"IpAddress: no key", `"IpAddress":{"k:k":"0.0.0.0/0"}`, nil, isFalse},
		{"NotIpAddress: in the network", `"NotIpAddress":{"k:k":"203.0.113.0/24"}`, []string{"203.0.113.7"}, isFalse},
		{"NotIpAddress: no key", `"NotIpAddress":{"k:k":"203.0.113.0/24"}`, nil, isTrue},
		{"NotIpAddress: what is no address", `"NotIpAddress":{"k:k":"203.0.113.0/24"}`, []string{"here"}, isOpen},

		{"an unknown operator", `"BinaryEquals":{"k:k":"QQ=="}`, []string{"A"}, isOpen},
		{"an unknown operator, no key", `"StringMatches":{"k:k":"A"}`, nil, isOpen},

		{"IfExists: no key", `"StringEqualsIfExists":{"k:k":"a"}`, nil, isTrue},
		{"IfExists: the same", `"StringEqualsIfExists":{"k:k":"a"}`, []string{"a"}, isTrue},
		{"IfExists: another", `"StringEqualsIfExists":{"k:k":"a"}`, []string{"b"}, isFalse},
		{"IfExists of a negated operator: no key", `"StringNotEqualsIfExists":{"k:k":"a"}`, nil, isTrue},
		{"IfExists of a number: no key", `"NumericLessThanIfExists":{"k:k":"1"}`, nil, isTrue},

		{"ForAllValues: all", `"ForAllValues:StringEquals":{"k:k":["a","b","c"]}`, []string{"a", "b"}, isTrue},
		{"ForAllValues: not all", `"ForAllValues:StringEquals":{"k:k":["a","b"]}`, []string{"a", "c"}, isFalse},
		{"ForAllValues: no key", `"ForAllValues:StringEquals":{"k:k":"a"}`, nil, isTrue},
		{"ForAllValues: a key without values", `"ForAllValues:StringEquals":{"k:k":"a"}`, []string{}, isTrue},
		{"ForAllValues: an empty value is as no key", `"ForAllValues:StringEquals":{"k:k":"a"}`, []string{""}, isTrue},
		{"ForAllValues and Null: no key", `"ForAllValues:StringEquals":{"k:k":"a"},"Null":{"k:k":"false"}`, nil, isFalse},
		{"ForAllValues, negated: none", `"ForAllValues:StringNotEquals":{"k:k":["a","b"]}`, []string{"c", "d"}, isTrue},
		{"ForAllValues, negated: one", `"ForAllValues:StringNotEquals":{"k:k":["a","b"]}`, []string{"a", "d"}, isFalse},
		{"ForAllValues, negated: no key", `"ForAllValues:StringNotLike":{"k:k":"*"}`, nil, isTrue},
		{"ForAllValues with IfExists: no key", `"ForAllValues:StringLikeIfExists":{"k:k":"a"}`, nil, isTrue},
		{"ForAnyValue: one", `"ForAnyValue:StringLike":{"k:k":["a*","b"]}`, []string{"c", "ab"}, isTrue},
		{"ForAnyValue: none", `"ForAnyValue:StringLike":{"k:k":["a*","b"]}`, []string{"c", "d"}, isFalse},
		{"ForAnyValue: no key", `"ForAnyValue:StringLike":{"k:k":"*"}`, nil, isFalse},
		{"ForAnyValue: an empty value is as no key", `"ForAnyValue:StringLike":{"k:k":"*"}`, []string{""}, isFalse},
		{"ForAnyValue: an empty value and another", `"ForAnyValue:StringLike":{"k:k":"*"}`, []string{"", "a"}, isTrue},
		{"ForAnyValue, negated: not all", `"ForAnyValue:StringNotEquals":{"k:k":["a","b"]}`, []string{"a", "c"}, isTrue},
		{"ForAnyValue, negated: all", `"ForAnyValue:StringNotEquals":{"k:k":["a","b"]}`, []string{"a", "b"}, isFalse},
		{"ForAnyValue, negated: no key", `"ForAnyValue:StringNotEquals":{"k:k":"a"}`, nil, isFalse},
		{"ForAnyValue with IfExists: no key", `"ForAnyValue:StringEqualsIfExists":{"k:k":"a"}`, nil, isOpen},

		{"two operators which both hold", `"StringLike":{"k:k":"a*"},"StringNotEquals":{"k:k":"ab"}`, []string{"ac"}, isTrue},
		{"two operators of which one holds", `"StringLike":{"k:k":"a*"},"StringNotEquals":{"k:k":"ab"}`, []string{"ab"}, isFalse},
		{"two keys of which one holds", `"StringEquals":{"k:k":"a","k:l":"a"}`, []string{"a"}, isFalse},
		{"no condition in the element", ``, nil, isTrue},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keys := context{"other:key": {"a"}}
			if tt.found != nil {
				keys["k:k"] = tt.found
			}
			requireVerdict(t, tt.want, "2012-10-17", tt.condition, keys)
		})
	}
}

func TestEvaluatePolicyVariables(t *testing.T) {
	full := context{"aws:username": {"Saanvi"}, "k:k": {"Saanvi/x"}, "k:many": {"a", "b"}, "k:empty": {""}, "k:star": {"S*"}, "k:bad": {"\xff"}, "k:arn": {"arn:aws:iam::1:role/a"}}
	for _, tt := range []struct {
		name      string
		condition string
		want      string
	}{
		{"in the middle of a pattern", `"StringLike":{"k:k":"S${k:nothing, 'aan'}vi/?"}`, isTrue},
		{"at the start of a pattern", `"StringLike":{"k:k":"${aws:username}/*"}`, isTrue},
		{"its key in another case", `"StringLike":{"k:k":"${AWS:UserName}/*"}`, isTrue},
		{"a default value that is not needed", `"StringLike":{"k:k":"${aws:username, 'Li'}/*"}`, isTrue},
		{"a default value that is needed", `"StringEquals":{"k:k":"${k:nothing, 'Saanvi/x'}"}`, isTrue},
		{"a default value that is empty", `"StringEquals":{"k:k":"Saanvi${k:nothing, ''}/x"}`, isTrue},
		{"a default value has no wildcards", `"StringLike":{"k:k":"${k:nothing, '*'}"}`, isFalse},
		{"its value has no wildcards", `"StringLike":{"k:k":"${k:star}"}`, isFalse},
		{"no value", `"StringLike":{"k:k":"${k:nothing}*"}`, invalid},
		{"no value, though another value of the policy matches", `"StringLike":{"k:k":["*","${k:nothing}"]}`, invalid},
		{"no value, of a negated operator", `"StringNotLike":{"k:k":"${k:nothing}"}`, invalid},
		{"no value and no key", `"StringEquals":{"k:absent":"${k:nothing}"}`, isFalse},
		{"no value and no key, of a negated operator", `"StringNotEquals":{"k:absent":"${k:nothing}"}`, invalid},
		{"no value and no key, with IfExists", `"StringEqualsIfExists":{"k:absent":"${k:nothing}"}`, isTrue},
		{"several values", `"StringLike":{"k:k":"${k:many}*"}`, invalid},
		{"several values and a default value", `"StringLike":{"k:k":"${k:many, 'Saanvi'}*"}`, invalid},
		{"an empty value", `"StringLike":{"k:k":"${k:empty}*"}`, invalid},
		{"a value that is not UTF-8", `"StringLike":{"k:bad":"${k:bad}"}`, invalid},
		{"an ARN", `"ArnEquals":{"k:arn":"${k:arn}"}`, isTrue},
		{"a part of an ARN", `"ArnLike":{"k:arn":"arn:aws:iam::${k:account, '1'}:*"}`, isTrue},
		{"what is no ARN", `"ArnLike":{"k:arn":"${aws:username}"}`, isOpen},
		{"an escaped *", `"StringLike":{"k:star":"?${*}"}`, isTrue},
		{"an escaped * is no wildcard", `"StringLike":{"k:k":"${*}"}`, isFalse},
		{"an escaped ? and $", `"StringEquals":{"k:k":["${?}${$}","Saanvi/x"]}`, isTrue},
		{"a $ of no variable", `"StringNotEquals":{"k:k":"$username"}`, isTrue},
	} {
		t.Run(tt.name, func(t *testing.T) { requireVerdict(t, tt.want, "2012-10-17", tt.condition, full) })
	}
}

func TestEvaluateIgnoresPolicyVariablesInOldVersion(t *testing.T) {
	keys := context{"aws:username": {"Saanvi"}, "k:k": {"Saanvi"}, "k:written": {"${aws:username}"}, "k:star": {"${ab}"}}
	const variable = `"${aws:username}"`
	for _, tt := range []struct{ name, condition, want string }{
		{"it is not replaced", `"StringEquals":{"k:k":` + variable + `}`, isFalse},
		{"it is a text", `"StringEquals":{"k:written":` + variable + `}`, isTrue},
		{"it has no end", `"StringLike":{"k:written":"${aws:*"}`, isTrue},
		{"a wildcard in it is one", `"StringLike":{"k:star":"${*}"}`, isTrue},
	} {
		t.Run(tt.name, func(t *testing.T) {
			requireVerdict(t, tt.want, "2008-10-17", tt.condition, keys)
			without := parse(t, `{"Statement":{"Effect":"Allow","Principal":{"Federated":"`+provider+`"},"Action":"*","Condition":{`+tt.condition+`}}}`)
			r := trustpolicy.Request{Action: withWebIdentity, Principal: trustpolicy.Principal{Federated: provider}, Context: keys}
			assert.Equal(t, tt.want == isTrue, without.Evaluate(r).Allowed(), "it is the version where none is said")
		})
	}
}

func TestEvaluateMergesContextKeysByCase(t *testing.T) {
	both := context{"k:k": {"a"}, "K:K": {"b"}}
	requireVerdict(t, isOpen, "2012-10-17", `"StringEquals":{"k:k":"a"}`, both)
	requireVerdict(t, isTrue, "2012-10-17", `"ForAllValues:StringEquals":{"k:k":["a","b"]}`, both)
	requireVerdict(t, isFalse, "2012-10-17", `"ForAllValues:StringEquals":{"k:k":"a"}`, both)
}

func TestEvaluateManyWildcardsInBoundedTime(t *testing.T) {
	pattern := strings.Repeat("*a", 400) + "*b"
	requireVerdict(t, isFalse, "2012-10-17", `"StringLike":{"k:k":"`+pattern+`"}`, context{"k:k": {strings.Repeat("a", 5_000)}})
}
