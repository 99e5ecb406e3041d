package irsa_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// assumeRoleFunc is an application's client for a role chain.
type assumeRoleFunc func(context.Context, *sts.AssumeRoleInput) (*sts.AssumeRoleOutput, error)

func (f assumeRoleFunc) AssumeRole(ctx context.Context, in *sts.AssumeRoleInput, _ ...func(*sts.Options)) (*sts.AssumeRoleOutput, error) {
	return f(ctx, in)
}

// returningClient returns a client with a response that change has modified.
func returningClient(change func(*sts.AssumeRoleOutput)) assumeRoleFunc {
	return func(context.Context, *sts.AssumeRoleInput) (*sts.AssumeRoleOutput, error) {
		out := &sts.AssumeRoleOutput{
			AssumedRoleUser: &types.AssumedRoleUser{Arn: aws.String("arn:aws:sts::222233334444:assumed-role/second/x")},
			Credentials: &types.Credentials{
				AccessKeyId: aws.String("ASIAEXAMPLE"), SecretAccessKey: aws.String("secret"), SessionToken: aws.String("session"),
				Expiration: aws.Time(time.Now().Add(100 * 365 * 24 * time.Hour)),
			},
		}
		change(out)
		return out, nil
	}
}

// failingClient returns a client that returns no response and err.
func failingClient(err error) assumeRoleFunc {
	return func(context.Context, *sts.AssumeRoleInput) (*sts.AssumeRoleOutput, error) { return nil, err }
}

// A client that the application sets in AssumeRoleOptions is checked like one in Options.STS.
func TestChainValidatesResponseOfOwnClient(t *testing.T) {
	for name, tt := range map[string]struct {
		client assumeRoleFunc
		err    string
	}{
		"a century": {returningClient(func(*sts.AssumeRoleOutput) {}), ""},
		"another role": {returningClient(func(o *sts.AssumeRoleOutput) {
			o.AssumedRoleUser.Arn = aws.String("arn:aws:sts::222233334444:assumed-role/other/x")
		}), "another role"},
		"no expiry":      {returningClient(func(o *sts.AssumeRoleOutput) { o.Credentials.Expiration = nil }), "without an expiry"},
		"no credentials": {returningClient(func(o *sts.AssumeRoleOutput) { o.Credentials = nil }), "no credentials"},
		"line break":     {returningClient(func(o *sts.AssumeRoleOutput) { o.Credentials.SessionToken = aws.String("a\nb") }), "invalid characters"},
		"neither":        {failingClient(nil), "no credentials"},
		"error of the SDK": {failingClient(&smithyhttp.ResponseError{
			Response: &smithyhttp.Response{Response: &http.Response{StatusCode: http.StatusForbidden}},
			Err:      &smithy.GenericAPIError{Code: "AccessDenied", Message: "no"},
		}), "AccessDenied: no"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, pod := newPod(t)
				p, err := newProvider(t, pod.Options).AssumeRole("arn:aws:iam::222233334444:role/second", func(o *stscreds.AssumeRoleOptions) { o.Client = tt.client })
				require.NoError(t, err)
				creds, err := p.Retrieve(t.Context())
				if tt.err == "" {
					require.NoError(t, err)
					assert.Equal(t, "222233334444", creds.AccountID)
					assert.LessOrEqual(t, time.Until(creds.Expires), time.Hour)
					return
				}
				require.ErrorContains(t, err, tt.err)
				assert.NotContains(t, err.Error(), "panicked")
				hasRequest := errors.As(err, new(*smithyhttp.ResponseError))
				assert.False(t, hasRequest, "it contains the request")
			})
		})
	}
}

// An application can wrap the library's client, for example to count requests.
func TestChainOwnClientCanWrapLibrarysClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod, roles := threeAccounts(t)
		var requests atomic.Int32
		first := newProvider(t, pod.Options)
		p, err := first.AssumeRole(roles[1].ARN(), func(o *stscreds.AssumeRoleOptions) {
			library := o.Client
			o.Client = assumeRoleFunc(func(ctx context.Context, in *sts.AssumeRoleInput) (*sts.AssumeRoleOutput, error) {
				requests.Add(1)
				return library.AssumeRole(ctx, in)
			})
		})
		require.NoError(t, err)
		creds := retrieve(t, p)
		assert.Equal(t, "444455556666", creds.AccountID)
		assert.EqualValues(t, 1, requests.Load())

		k.STS.Fail(irsatest.AccessDenied, 1)
		time.Sleep(2 * time.Second)
		var failure *irsa.Error
		require.ErrorAs(t, p.Refresh(t.Context()), &failure)
		require.ErrorIs(t, failure, irsa.ErrAccessDenied)
		assert.NotEmpty(t, failure.RequestID)
		assert.EqualValues(t, 2, requests.Load())

		source := retrieve(t, first)
		k.STS.Down() // before the exchange that Invalidate starts
		first.Invalidate(source)
		time.Sleep(2 * time.Minute)
		require.ErrorAs(t, p.Refresh(t.Context()), &failure)
		require.ErrorIs(t, failure, irsa.ErrUnavailable)
		assert.Equal(t, roles[0].ARN(), failure.RoleARN, "the source has no credentials")
	})
}

// The client of an application can sign with the source Provider, which may have no credentials.
func TestChainOwnClientErrorNamesSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod, roles := threeAccounts(t)
		first := newProvider(t, pod.Options)
		second, err := first.AssumeRole(roles[1].ARN(), func(o *stscreds.AssumeRoleOptions) {
			o.Client = sts.NewFromConfig(first.AWSConfig(), func(o *sts.Options) { o.HTTPClient = k.HTTPClient() })
		})
		require.NoError(t, err)
		roles[0].Fail(irsatest.AccessDenied, -1)
		_, want := first.Retrieve(t.Context())
		_, err = second.Retrieve(t.Context())
		var failure *irsa.Error
		require.ErrorAs(t, err, &failure)
		assert.Equal(t, roles[0].ARN(), failure.RoleARN)
		require.EqualError(t, err, want.Error())

		roles[0].Fail(irsatest.AccessDenied, 0)
		time.Sleep(time.Minute)
		retrieve(t, second)
		time.Sleep(2 * time.Minute)
		roles[1].Fail(irsatest.ExpiredToken, -1) // rejects the first role's credentials
		roles[0].Fail(irsatest.AccessDenied, -1)
		require.ErrorAs(t, second.Refresh(t.Context()), &failure)
		assert.Equal(t, roles[1].ARN(), failure.RoleARN)
		assert.Equal(t, "ExpiredToken", failure.Code)
		assert.Empty(t, failure.Endpoint, "the client has an endpoint of its own")
		hasRequest := errors.As(failure, new(*smithyhttp.ResponseError))
		assert.False(t, hasRequest, "it contains the request")
	})
}

func TestChainOwnClientRejectionDoesNotAffectSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod, roles := threeAccounts(t)
		p, err := newProvider(t, pod.Options).AssumeRole(roles[1].ARN(), func(o *stscreds.AssumeRoleOptions) {
			next := o.Client
			o.Client = assumeRoleFunc(func(ctx context.Context, in *sts.AssumeRoleInput) (*sts.AssumeRoleOutput, error) {
				client := next
				next = failingClient(&smithy.GenericAPIError{Code: "ExpiredToken"})
				return client.AssumeRole(ctx, in)
			})
		})
		require.NoError(t, err)
		retrieve(t, p)
		time.Sleep(2 * time.Minute) // younger keys are not replaced
		require.ErrorIs(t, p.Refresh(t.Context()), irsa.ErrRejected)
		assert.Len(t, k.STS.Calls(), 2, "the other client does not sign with the source's credentials")
	})
}
