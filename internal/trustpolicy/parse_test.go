package trustpolicy_test

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

// quote returns texts as a JSON string, or as a JSON array if there are several.
func quote(texts ...string) string {
	var value any = texts
	if len(texts) == 1 {
		value = texts[0]
	}
	b, _ := json.Marshal(value)
	return string(b)
}

// document returns a policy with one statement, which allows web identities of the provider and has
// the given additional elements.
func document(elements string) string {
	return `{"Version":"2012-10-17","Statement":[` + allowing(elements) + `]}`
}

func allowing(elements string) string {
	s := `"Effect":"Allow","Principal":{"Federated":"` + provider + `"},"Action":"sts:AssumeRoleWithWebIdentity"`
	if elements != "" {
		s += "," + elements
	}
	return "{" + s + "}"
}

func TestParseReportsErrorPosition(t *testing.T) {
	conditionOf := func(c string) string { return document(`"Condition":{` + c + `}`) }
	valueOf := func(operator, value string) string { return conditionOf(quote(operator) + `:{"k:k":` + value + `}`) }
	principalOf := func(p string) string {
		return `{"Statement":{"Effect":"Allow","Principal":` + p + `,"Action":"sts:*"}}`
	}
	for _, tt := range []struct{ name, document, want string }{
		{"nothing", ``, "it is not JSON: unexpected end of JSON input"},
		{"no JSON", `Version: 2012-10-17`, `it is not JSON: it begins with "Version: 2012-10-17"`},
		{"the name of a file", `testdata/terraform.json`, `it is not JSON: it begins with "testdata/terraform.j"`},
		{"a response of the IAM API", url.PathEscape(document(``)), "it is percent-encoded, as IAM returns it: decode it first"},
		{"another response of the IAM API", strings.ToLower(url.QueryEscape(document(``))), "it is percent-encoded, as IAM returns it: decode it first"},
		{"the output of PowerShell", strconv.Quote(url.QueryEscape(document(``))), "it is percent-encoded, as IAM returns it: decode it first"},
		{"the output of Terraform", strconv.Quote("\n" + document(``)), "it is a string that contains JSON: decode it first"},
		{"the output of aws iam get-role", `{"Role":{"AssumeRolePolicyDocument":` + document(``) + `}}`, `unknown policy element "Role": the policy is its AssumeRolePolicyDocument`},
		{"half of it", document(``)[:50], "it is not JSON: unexpected end of JSON input"},
		{"more behind it", document(``) + `{}`, "it is not JSON: invalid character '{' after top-level value"},
		{"a comma too many", `{"Statement":[` + allowing(``) + `,]}`, "it is not JSON: invalid character ']' looking for beginning of value"},
		{"an array", `[]`, "the document: it is an array, not an object"},
		{"null", `null`, "the document: it is null, not an object"},
		{"a byte order mark", "\ufeff" + document(``), `it contains '\ufeff': IAM accepts only Latin-1 characters`},
		{"a character beyond Latin-1", document(`"Sid":"ł"`), `it contains 'ł': IAM accepts only Latin-1 characters`},
		{"half of a character", document("\"Sid\":\"\xff\""), "it is not UTF-8"},
		{"half of a surrogate pair", document(`"Sid":"\ud800"`), `"` + "\ufffd" + `" contains an unpaired surrogate`},
		{"half of a surrogate pair in a name", document(`"\ud800":""`), `"` + "\ufffd" + `" contains an unpaired surrogate`},
		{"too many characters", document(`"Sid":"` + strings.Repeat("a", 8192) + `"`), "it is longer than 8192 characters without white space"},
		{"too many bytes", document(strings.Repeat(" ", 131072)), "it is longer than 131072 bytes"},
		{"too many levels", document(`"Condition":` + strings.Repeat("[", 20) + strings.Repeat("]", 20)), "it is nested too deeply"},
		{"a name twice", `{"Version":"2012-10-17","Version":"2012-10-17","Statement":` + allowing(``) + `}`, `duplicate name "Version" in an object`},
		{"an effect twice", document(`"Effect":"Deny"`), `duplicate name "Effect" in an object`},
		{"a name twice, once with an escape", document(`"\u0045ffect":"Deny"`), `duplicate name "Effect" in an object`},
		{"an operator twice", conditionOf(`"Null":{"k:k":"true"},"Null":{"k:l":"true"}`), `duplicate name "Null" in an object`},
		{"a key twice", conditionOf(`"Null":{"k:k":"true","k:k":"true"}`), `duplicate name "k:k" in an object`},

		{"no statement", `{"Version":"2012-10-17"}`, "it has no Statement"},
		{"no statement in the array", `{"Statement":[]}`, "Statement: the array is empty"},
		{"a statement that is a string", `{"Statement":["Allow"]}`, "statement 1: it is a string, not an object"},
		{"a statement that is null", `{"Statement":null}`, "statement 1: it is null, not an object"},
		{"an unknown version", `{"Version":"2012-10-18","Statement":` + allowing(``) + `}`, `Version: "2012-10-18" is neither "2012-10-17" nor "2008-10-17"`},
		{"a version that is a number", `{"Version":2012,"Statement":` + allowing(``) + `}`, "Version: it is a number, not a string"},
		{"an Id that is true", `{"Id":true,"Statement":` + allowing(``) + `}`, "Id: it is true or false, not a string"},
		{"an unknown element", `{"version":"2012-10-17","Statement":` + allowing(``) + `}`, `unknown policy element "version"`},

		{"a Sid with a space", document(`"Sid":"a b"`), `statement 1, Sid: "a b" contains characters other than letters and digits`},
		{"a Sid that is an array", document(`"Sid":["a"]`), "statement 1, Sid: it is an array, not a string"},
		{"a Sid twice", `{"Statement":[` + allowing(`"Sid":"a"`) + `,` + allowing(`"Sid":"a"`) + `]}`, "statement 2 (a): another statement has the same Sid"},
		{"no effect", `{"Statement":{"Principal":"*","Action":"sts:*"}}`, "statement 1, Effect: it is missing"},
		{"an effect in small letters", `{"Statement":{"Sid":"a","Effect":"allow","Principal":"*","Action":"sts:*"}}`, `statement 1 (a), Effect: "allow" is neither Allow nor Deny`},
		{"an effect that is null", `{"Statement":{"Effect":null,"Principal":"*","Action":"sts:*"}}`, "statement 1, Effect: it is null, not a string"},
		{"a resource", document(`"Resource":"*"`), "statement 1, Resource: it is prohibited in a trust policy"},
		{"all resources but one", document(`"NotResource":"a"`), "statement 1, NotResource: it is prohibited in a trust policy"},
		{"all principals but one", document(`"NotPrincipal":{"AWS":"111122223333"}`), "statement 1, NotPrincipal: it is prohibited in a trust policy"},
		{"a misspelled element", document(`"Conditions":{}`), "statement 1, Conditions: it is unknown in a statement; did you mean Condition?"},
		{"an element in small letters", document(`"condition":{}`), "statement 1, condition: it is unknown in a statement; did you mean Condition?"},
		{"an unknown element of a statement", document(`"Description":"a"`), "statement 1, Description: it is unknown in a statement"},
		{"an error in the second statement", `{"Statement":[` + allowing(``) + `,` + allowing(`"Sid":"b","Condition":{"StringEqual":{}}`) + `]}`,
			"statement 2 (b), Condition: StringEqual: it is not an operator; did you mean StringEquals?"},

		{"no principal", `{"Statement":{"Effect":"Allow","Action":"sts:*"}}`, "statement 1, Principal: it is missing"},
		{"an account without its type", principalOf(`"111122223333"`), "statement 1, Principal: it is a string, not an object"},
		{"no type of principal", principalOf(`{}`), "statement 1, Principal: it names no principal"},
		{"no principal in the array", principalOf(`{"AWS":[]}`), "statement 1, Principal: AWS: the array is empty"},
		{"a principal that is a number", principalOf(`{"AWS":111122223333}`), "statement 1, Principal: AWS: it is a number, not a string"},
		{"a canonical user", principalOf(`{"CanonicalUser":"79a59df900b949e5"}`), "statement 1, Principal: CanonicalUser: it is not supported"},
		{"a misspelled type", principalOf(`{"Fedrated":"a"}`), "statement 1, Principal: Fedrated: it is not a type of principal; did you mean Federated?"},
		{"an unknown type", principalOf(`{"Google":"a"}`), "statement 1, Principal: Google: it is not a type of principal"},
		{"a role with a wildcard", principalOf(`{"AWS":"arn:aws:iam::111122223333:role/*"}`), `statement 1, Principal: AWS: "arn:aws:iam::111122223333:role/*": wildcards are not allowed in a principal`},
		{"all providers", principalOf(`{"Federated":"*"}`), `statement 1, Principal: Federated: "*": wildcards are not allowed in a principal`},
		{"all services", principalOf(`{"Service":"*.amazonaws.com"}`), `statement 1, Principal: Service: "*.amazonaws.com": wildcards are not allowed in a principal`},
		{"what is no service", principalOf(`{"Service":"ec2"}`), `statement 1, Principal: Service: "ec2" is not the name of a service`},
		{"an account of 11 digits", principalOf(`{"AWS":"11112222333"}`), `"11112222333" is neither an account nor the ARN of a user, a role or a session`},
		{"a group", principalOf(`{"AWS":"arn:aws:iam::111122223333:group/g"}`), "is neither an account nor the ARN of a user, a role or a session"},
		{"a role without a name", principalOf(`{"AWS":"arn:aws:iam::111122223333:role/"}`), "is neither an account nor the ARN of a user, a role or a session"},
		{"a role of STS", principalOf(`{"AWS":"arn:aws:sts::111122223333:role/r"}`), "is neither an account nor the ARN of a user, a role or a session"},
		{"a session without a name", principalOf(`{"AWS":"arn:aws:sts::111122223333:assumed-role/r"}`), "is neither an account nor the ARN of a user, a role or a session"},
		{"an unknown partition", principalOf(`{"AWS":"arn:azure:iam::111122223333:role/r"}`), "is neither an account nor the ARN of a user, a role or a session"},
		{"an issuer instead of a provider", principalOf(`{"Federated":"` + issuer + `"}`), `"` + issuer + `" is not the ARN of an identity provider`},
		{"a role instead of a provider", principalOf(`{"Federated":"arn:aws:iam::111122223333:role/r"}`), "is not the ARN of an identity provider"},

		{"no action", `{"Statement":{"Effect":"Allow","Principal":"*"}}`, "statement 1, Action: it is missing"},
		{"no action in the array", `{"Statement":{"Effect":"Allow","Principal":"*","Action":[]}}`, "statement 1, Action: the array is empty"},
		{"an action that is null", `{"Statement":{"Effect":"Allow","Principal":"*","Action":[null]}}`, "statement 1, Action: it is null, not a string"},
		{"an action of another service", `{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject"}}`, `statement 1, Action: "s3:GetObject" is not an action of STS, such as sts:AssumeRoleWithWebIdentity`},
		{"an action of all services", `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*:AssumeRole"}}`, `statement 1, Action: "*:AssumeRole" is not an action of STS`},
		{"a misspelled action", `{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRoleWithWebIdentitiy"}}`, `statement 1, Action: "sts:AssumeRoleWithWebIdentitiy" is not allowed in a trust policy; did you mean sts:AssumeRoleWithWebIdentity?`},
		{"an action of STS that assumes nothing", `{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:GetCallerIdentity"}}`, `"sts:GetCallerIdentity" is not allowed in a trust policy`},
		{"a wildcard that stands for none", `{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:Get*"}}`, `"sts:Get*" is not allowed in a trust policy`},
		{"an action with white space", `{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole "}}`, `statement 1, Action: "sts:AssumeRole " is not an action of STS`},
		{"actions and all but some", document(`"NotAction":"sts:TagSession"`), "statement 1, NotAction: a statement has Action or NotAction, not both"},

		{"conditions in an array", document(`"Condition":[]`), "statement 1, Condition: it is an array, not an object"},
		{"a condition without an operator", conditionOf(`"` + sub + `":"` + cart + `"`), `statement 1, Condition: ` + sub + `: "` + issuer + `" is not a set operator`},
		{"an operator without a key", conditionOf(`"StringEquals":{}`), "statement 1, Condition: StringEquals: it has no key"},
		{"an operator with a string", conditionOf(`"StringEquals":"a"`), "statement 1, Condition: StringEquals: it is a string, not an object"},
		{"a misspelled operator", valueOf("StringEqualsIgnorCase", `"a"`), "Condition: StringEqualsIgnorCase: it is not an operator; did you mean StringEqualsIgnoreCase?"},
		{"an operator in small letters", valueOf("stringlike", `"a"`), "Condition: stringlike: it is not an operator; did you mean StringLike?"},
		{"an unknown operator", valueOf("Matches", `"a"`), "Condition: Matches: it is not an operator"},
		{"an operator that is not much like another", valueOf("Foo", `"a"`), "Condition: Foo: it is not an operator"},
		{"an operator that is empty", valueOf("", `"a"`), "Condition: : it is not an operator"},
		{"a negation that there is none of", valueOf("NotBool", `"true"`), "Condition: NotBool: it is not an operator"},
		{"what is no date", valueOf("DateLessThan", `"tomorrow"`), `Condition: DateLessThan: "k:k": "tomorrow" is not a date`},
		{"what is no network", valueOf("NotIpAddressIfExists", `"10.0.0.0/33"`), `Condition: NotIpAddressIfExists: "k:k": "10.0.0.0/33" is not an IP address or a network`},
		{"a misspelled set operator", valueOf("ForAnyValues:StringLike", `"a"`), `Condition: ForAnyValues:StringLike: "ForAnyValues" is not a set operator; did you mean ForAnyValue?`},
		{"a set operator alone", valueOf("ForAnyValue:", `"a"`), "Condition: ForAnyValue:: it is not an operator"},
		{"IfExists in front", valueOf("IfExistsStringLike", `"a"`), "Condition: IfExistsStringLike: it is not an operator"},
		{"IfExists twice", valueOf("StringLikeIfExistsIfExists", `"a"`), "Condition: StringLikeIfExistsIfExists: it is not an operator"},
		{"Null with IfExists", valueOf("NullIfExists", `"true"`), "Condition: NullIfExists: the operator Null accepts neither IfExists nor a set operator"},
		{"Null with a set operator", valueOf("ForAllValues:Null", `"true"`), "Condition: ForAllValues:Null: the operator Null accepts neither IfExists nor a set operator"},
		{"a key without a colon", conditionOf(`"StringEquals":{"sub":"a"}`), `Condition: StringEquals: "sub": it is not a condition key, such as aws:PrincipalArn`},
		{"a key with white space", conditionOf(`"StringEquals":{"k:k ":"a"}`), `"k:k ": it is not a condition key`},
		{"a key with a variable", conditionOf(`"StringEquals":{"aws:RequestTag/${k:k}":"a"}`), `"aws:RequestTag/${k:k}": it is not a condition key`},
		{"a key with a wildcard", conditionOf(`"StringEquals":{"aws:RequestTag/*":"a"}`), `"aws:RequestTag/*": it is not a condition key`},
		{"a key in two cases", conditionOf(`"StringEquals":{"k:k":"a","K:k":"b"}`), `Condition: StringEquals: duplicate key "K:k" in a different case`},
		{"a value that is null", valueOf("StringEquals", `null`), `Condition: StringEquals: "k:k": it is null, not a string`},
		{"no value", valueOf("StringEquals", `[]`), `Condition: StringEquals: "k:k": the array is empty`},
		{"a value in two arrays", valueOf("StringEquals", `[["a"]]`), `Condition: StringEquals: "k:k": it is an array, not a string`},
		{"a value that is an object", valueOf("StringEquals", `{"a":"b"}`), `Condition: StringEquals: "k:k": it is an object, not a string`},
		{"a bool that is none", valueOf("Bool", `"yes"`), `Condition: Bool: "k:k": "yes" is neither true nor false`},
		{"a bool that is a number", valueOf("Bool", `1`), `"1" is neither true nor false`},
		{"a bool with a variable", valueOf("Bool", `"${k:l}"`), `"${k:l}" is neither true nor false`},
		{"a Null that is neither", valueOf("Null", `"null"`), `"null" is neither true nor false`},
		{"a number that is none", valueOf("NumericEquals", `"ten"`), `"ten" is not a number`},
		{"a number with an exponent", valueOf("NumericEquals", `1e3`), `"1e3" is not a number`},
		{"a number with a variable", valueOf("NumericLessThan", `"${k:l}"`), `"${k:l}" is not a number`},
		{"an ARN that is none", valueOf("ArnLike", `"*"`), `"*" is not an ARN`},
		{"a variable without an end", valueOf("StringLike", `"${k:l"`), `"${k:l": unterminated policy variable`},
		{"a variable without a prefix", valueOf("StringLike", `"${username}"`), `"${username}": ${username} is not a policy variable`},
		{"a variable without a name", valueOf("StringLike", `"${}"`), `"${}": ${} is not a policy variable`},
		{"a variable in a variable", valueOf("StringLike", `"${k:${k:l}}"`), `${k:${k:l} is not a policy variable`},
		{"a variable with white space", valueOf("StringLike", `"${ k:l }"`), `${ k:l } is not a policy variable`},
		{"a default value without quotes", valueOf("StringLike", `"${k:l, a}"`), `${k:l, a} is not a policy variable`},
		{"a default value without a space", valueOf("StringLike", `"${k:l,'a'}"`), `${k:l,'a'} is not a policy variable`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := trustpolicy.Parse([]byte(tt.document))
			require.Error(t, err)
			assert.Nil(t, p)
			assert.True(t, strings.HasPrefix(err.Error(), "trustpolicy: "), err)
			assert.Contains(t, err.Error(), tt.want)
			assert.Equal(t, strings.Contains(tt.want, "did you mean"), strings.Contains(err.Error(), "; did you mean "), err)
		})
	}
}

func TestParseAcceptsWhatIAMAccepts(t *testing.T) {
	for _, tt := range []struct{ name, document string }{
		{"one statement without an array", `{"Statement":` + allowing(``) + `}`},
		{"the older version and an Id", `{"Id":"any text","Version":"2008-10-17","Statement":` + allowing(``) + `}`},
		{"the elements in another order", `{"Statement":[{"Action":"sts:AssumeRoleWithWebIdentity","Principal":{"Federated":["` + provider + `"]},"Effect":"Allow","Sid":"a1"}],"Version":"2012-10-17"}`},
		{"empty Sids", `{"Statement":[` + allowing(`"Sid":""`) + `,` + allowing(`"Sid":""`) + `]}`},
		{"no condition", document(`"Condition":{}`)},
		{"white space that does not count", strings.Repeat(" \t\r\n", 8192) + document(``) + strings.Repeat("\n", 8192)},
		{"characters of Latin-1", document(`"Condition":{"StringNotEquals":{"k:k":"é"}}`)},
		{"as many characters as may be", document(`"Sid":"` + strings.Repeat("a", 8192-len(document(`"Sid":""`))) + `"`)},
		{"a tag key with a space as variable", document(`"Condition":{"StringNotEquals":{"k:k":"${aws:PrincipalTag/cost center, 'none'}"}}`)},
		{"a provider's key as variable", document(`"Condition":{"StringEquals":{"` + sub + `":"${` + sub + `}"}}`)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := parse(t, tt.document).Evaluate(ofCart())
			assert.True(t, d.Allowed(), d.String())
		})
	}
}
