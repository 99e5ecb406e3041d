package explain

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRuleForUnknownCodeBlamesNoParameter(t *testing.T) {
	for code, parameter := range map[string]bool{
		"ValidationError": true, "MissingParameter": true,
		"NotAuthorized": false, "AccountProblem": false, "NoSuchEntity": false, "InvalidArgument": false,
	} {
		for _, source := range []string{"", testSource} {
			f := respond(code, "a message", source)
			assert.Equal(t, ErrInvalidRequest, f.Kind, code)
			a := For(f)
			assert.Equal(t, HeadingInvalidRequest, a.Heading, code)
			assert.Equal(t, parameter, strings.Contains(a.Fix+a.Text, "parameter"), code)
			assert.Equal(t, parameter, strings.Contains(a.Fix+a.Text, "upgrade"), code)
		}
	}
}

// Most malformed policies are valid JSON.
func TestRuleForMalformedPolicyDoesNotBlameJSON(t *testing.T) {
	for _, source := range []string{"", testSource} {
		a := For(respond("MalformedPolicyDocument", `Resource receipts/* must be in ARN format or "*".`, source))
		assert.NotContains(t, a.Text, "JSON")
		assert.Contains(t, a.Text, "the message of STS names what is wrong in the session policy: correct it")
	}
}
