package explain

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestChainKindBlamesTheSourcesCredentials(t *testing.T) {
	const source = "arn:aws:iam::111122223333:role/source"
	for _, tt := range []struct {
		code, message string
		kind          error
		heading       Heading
	}{
		{"ExpiredToken", "", ErrRejected, HeadingRefusedByService},
		{"InvalidClientTokenId", "", ErrRejected, HeadingRefusedByService},
		{"SignatureDoesNotMatch", "Signature expired", ErrRejected, HeadingRefusedByService},
		{"SignatureDoesNotMatch", "Credential should be scoped to a valid region, not 'us-west-2'.", ErrInvalidRequest, HeadingEndpoint},
		{"AccessDenied", "", ErrAccessDenied, HeadingRoleChain},
		{"Throttling", "", ErrThrottled, HeadingThrottled},
	} {
		err := answered(403, tt.code, tt.message)
		assert.Equal(t, tt.kind, ChainKind(err), tt.code)
		a := Chain(Facts{Kind: ChainKind(err), Err: err, Code: tt.code, RoleARN: "arn:aws:iam::444455556666:role/far", Region: "us-west-2"}, source)
		assert.Equal(t, tt.heading, a.Heading, tt.code)
		if tt.heading == HeadingRoleChain {
			assert.Contains(t, a.Text, `{"Effect":"Allow","Principal":{"AWS":"`+source+`"},"Action":"sts:AssumeRole"}`)
		}
	}
}
