package irsatest_test

import (
	"errors"
	"maps"
	"reflect"
	"testing"
	"testing/synctest"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// webIdentityRejection is a cause of a rejection and how to repair it.
type webIdentityRejection struct {
	setup   func(t *testing.T, w *world)
	change  func(*sts.AssumeRoleWithWebIdentityInput)
	repair  func(w *world)
	code    string
	status  int
	message string // regular expression
	reason  string // regular expression for Call.Reason
	as      error  // the SDK's error type; if nil, smithy.GenericAPIError
}

func TestSTSRejectsWebIdentityUntilRepaired(t *testing.T) {
	t.Parallel()
	cases := identityRejections()
	maps.Copy(cases, parameterRejections())
	maps.Copy(cases, policyRejections())
	maps.Copy(cases, claimRejections())
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := inMemory(t)
				if c.setup != nil {
					c.setup(t, w)
				}
				if c.change == nil {
					c.change = func(*sts.AssumeRoleWithWebIdentityInput) {}
				}
				_, err := w.assume(t.Context(), c.change)

				message := requireRejection(t, err, c.code, c.status)
				assert.Regexp(t, c.message, message)
				if c.as == nil {
					var generic *smithy.GenericAPIError
					assert.ErrorAs(t, err, &generic)
				} else {
					assert.True(t, errorHasTypeOf(err, c.as), "%T in %v", c.as, err)
				}
				calls := w.STS.Calls()
				assert.Equal(t, c.code, calls[len(calls)-1].Err)
				assert.Regexp(t, c.reason, calls[len(calls)-1].Reason)

				if c.repair != nil {
					c.repair(w)
				}
				_, err = w.assume(t.Context())
				require.NoError(t, err, "the cause is repaired")
			})
		})
	}
}

// requireRejection checks the code and status of an AWS error, and returns its message.
func requireRejection(t *testing.T, err error, code string, status int) string {
	t.Helper()
	var api smithy.APIError
	require.ErrorAs(t, err, &api)
	require.Equal(t, code, api.ErrorCode())
	var response *awshttp.ResponseError
	require.ErrorAs(t, err, &response)
	require.Equal(t, status, response.HTTPStatusCode())
	require.Regexp(t, `^[0-9a-f-]{36}$`, response.ServiceRequestID())
	return api.ErrorMessage()
}

// errorHasTypeOf reports whether err wraps an error of the same type as example.
func errorHasTypeOf(err, example error) bool {
	return errors.As(err, reflect.New(reflect.TypeOf(example)).Interface())
}
