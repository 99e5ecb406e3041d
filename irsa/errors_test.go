package irsa_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestErrorKindOfSTSFailures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fault irsatest.Fault
		kind  error
		text  string
		calls int // until the first caller receives the error: 3 for temporary failures
	}{
		{irsatest.Throttling, irsa.ErrThrottled, "Throttling", 3},
		{irsatest.Unavailable, irsa.ErrUnavailable, "ServiceUnavailable", 3},
		{irsatest.InternalFailure, irsa.ErrUnavailable, "InternalFailure", 3},
		{irsatest.IDPCommunicationError, irsa.ErrUnavailable, "IDPCommunicationError", 3},
		{irsatest.VerificationKey, irsa.ErrUnavailable, "InvalidIdentityToken: Couldn't", 3},
		{irsatest.AccessDenied, irsa.ErrAccessDenied, "AccessDenied", 1},
		{irsatest.ExpiredToken, irsa.ErrTokenExpired, "ExpiredTokenException", 1},
		{irsatest.Reset, irsa.ErrUnavailable, "connection reset", 3},
		{irsatest.Hang, irsa.ErrUnavailable, "deadline exceeded", 3},
		{irsatest.EmptyReply, irsa.ErrUnavailable, "the response contains no credentials", 3},
		{irsatest.TruncatedReply, irsa.ErrUnavailable, "the response cannot be read", 3},
		{irsatest.HTMLReply, irsa.ErrUnavailable, "a server other than STS responds", 3},
		{irsatest.NoCredentials, irsa.ErrUnavailable, "the response contains no credentials", 3},
		{irsatest.EmptyKeys, irsa.ErrUnavailable, "credentials without keys", 3},
		{irsatest.ExpiredCredentials, irsa.ErrUnavailable, "the node's clock may be wrong", 3},
		{irsatest.HugeReply, irsa.ErrUnavailable, "a server other than STS responds", 3},
	} {
		t.Run(string(tt.fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				k.STS.Fail(tt.fault, -1)
				p := newProvider(t, pod.Options)
				_, err := p.Retrieve(t.Context())
				require.ErrorIs(t, err, tt.kind)
				assert.ErrorContains(t, err, tt.text)
				requireShort(t, err)
				assert.Equal(t, tt.calls, k.STS.CallCount())
				var failure *irsa.Error
				require.ErrorAs(t, err, &failure)
				assert.Equal(t, k.Issuer.URL(), failure.Issuer)
				assert.Equal(t, "system:serviceaccount:shop:cart", failure.Subject)
				assert.Equal(t, []string{"sts.amazonaws.com"}, failure.Audience)
				assert.Equal(t, pod.RoleARN(), failure.RoleARN)
				assert.Equal(t, pod.TokenFile(), failure.TokenFile)
				assert.False(t, failure.TokenExpiry.IsZero())
				assert.True(t, failure.NextAttempt.After(time.Now()))
				k.STS.Recover()
				require.NoError(t, p.WaitReady(t.Context()))
			})
		})
	}
}

func TestErrorWrapsCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		retrieveError := func(fault irsatest.Fault) error {
			k.STS.Fail(fault, -1)
			p := newProvider(t, pod.Options)
			_, err := p.Retrieve(t.Context())
			require.Error(t, err)
			return err
		}
		var expired *types.ExpiredTokenException
		require.ErrorAs(t, retrieveError(irsatest.ExpiredToken), &expired)
		var api smithy.APIError
		denied := retrieveError(irsatest.AccessDenied)
		require.ErrorAs(t, denied, &api)
		assert.Equal(t, "AccessDenied", api.ErrorCode())
		var failure *irsa.Error
		require.ErrorAs(t, denied, &failure)
		assert.Equal(t, "AccessDenied", failure.Code)
		assert.NotEmpty(t, failure.RequestID)
		var network *net.OpError
		require.ErrorAs(t, retrieveError(irsatest.Reset), &network)
		require.ErrorIs(t, retrieveError(irsatest.Hang), context.DeadlineExceeded)
	})
}

func TestErrorAccessDeniedShowsTrustPolicyStatement(t *testing.T) {
	k := newCluster(t)
	pod := k.Pod(k.ServiceAccount("shop", "cart"), k.Role("s3-writer")) // trusts no subject
	p := newProvider(t, pod.Options)
	_, err := p.Retrieve(t.Context())
	require.ErrorIs(t, err, irsa.ErrAccessDenied)
	issuer := k.Issuer.URL()[len("https://"):]
	for _, want := range []string{
		"Not authorized to perform sts:AssumeRoleWithWebIdentity",
		"role: " + pod.RoleARN(),
		"issuer: " + k.Issuer.URL(),
		`{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/` + issuer + `"},"Action":"sts:AssumeRoleWithWebIdentity",` +
			`"Condition":{"StringEquals":{"` + issuer + `:aud":"sts.amazonaws.com","` + issuer + `:sub":"system:serviceaccount:shop:cart"}}}`,
		"TROUBLESHOOTING.md#access-denied",
		"next_attempt: ",
	} {
		assert.Contains(t, fmt.Sprintf("%+v", err), want)
	}
}

func TestProviderNeverUsesOtherIdentity(t *testing.T) {
	// Set up everything that the SDK's chain would fall back to.
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIANODE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "node")
	t.Setenv("AWS_PROFILE", "node")
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254")
	t.Run("credentials of the role despite others", func(t *testing.T) {
		_, pod := newPod(t)
		creds := retrieve(t, newProvider(t, pod.Options))
		assert.Contains(t, creds.AccessKeyID, "ASIA")
		assert.Equal(t, "WebIdentityCredentials", creds.Source)
	})
	t.Run("error if the webhook injected nothing", func(t *testing.T) {
		_, err := irsa.New()
		require.ErrorIs(t, err, irsa.ErrNotConfigured)
	})
	t.Run("error if STS denies access", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			k, pod := newPod(t)
			k.STS.Fail(irsatest.AccessDenied, -1)
			creds, err := newProvider(t, pod.Options).Retrieve(t.Context())
			require.ErrorIs(t, err, irsa.ErrAccessDenied)
			assert.False(t, creds.HasKeys())
		})
	})
	t.Run("error without a token", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, pod := newPod(t)
			pod.RemoveToken()
			creds, err := newProvider(t, pod.Options).Retrieve(t.Context())
			require.ErrorIs(t, err, fs.ErrNotExist)
			assert.False(t, creds.HasKeys())
		})
	})
}

func TestErrorForBadTokens(t *testing.T) {
	for _, tt := range []struct {
		name, content, want string
	}{
		{"an empty file", "", "it is empty"},
		{"white space", " \r\n\t", "it is empty"},
		{"a mebibyte", string(make([]byte, 1<<20)), "more than 32768 bytes"},
		{"binary", "\x00\xff\xfe\x01", "the three parts of a signed JWT"},
		{"two parts", "eyJhIjoxfQ.eyJhIjoxfQ", "the three parts of a signed JWT"},
		{"a byte order mark", "\ufeffeyJhIjoxfQ.eyJhIjoxfQ.c2ln", "it begins with a byte order mark"},
		{"quotes", `"eyJhIjoxfQ.eyJhIjoxfQ.c2ln"`, "it begins with a quotation mark"},
		{"JSON", `{"token":"eyJhIjoxfQ.eyJhIjoxfQ.c2ln"}`, `it begins with "{", like JSON`},
		{"HTML", "<html>", `it begins with "<", like HTML or XML`},
		{"a whole header", "Authorization: Bearer eyJhIjoxfQ.eyJhIjoxfQ.c2ln", `it begins with "Authorization:"`},
		{"a header", "Bearer eyJhIjoxfQ.eyJhIjoxfQ.c2ln", `it begins with "Bearer "`},
		{"the output of kubectl describe secret", "token:  eyJhIjoxfQ.eyJhIjoxfQ.c2ln", "it begins with text other than the token"},
		{"a value of a Secret", "ZXlKaElqb3hmUS5leUpoSWpveGZRLmMybG4=", "it begins with the base64 encoding of a token"},
		{"bad base64", "eyJhIjoxfQ.!!!!.c2ln", "claims part is not base64url"},
		{"claims that are not JSON", "eyJhIjoxfQ.c2ln.c2ln", "claims part is not a JSON object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				token := pod.Token()
				pod.Write([]byte(tt.content))
				p := newProvider(t, pod.Options)
				_, err := p.Retrieve(t.Context())
				require.ErrorIs(t, err, irsa.ErrTokenFile)
				assert.ErrorContains(t, err, tt.want)
				assert.Zero(t, k.STS.CallCount(), "no request is made")
				pod.Write([]byte(token + "\r\n"))
				time.Sleep(3 * time.Second)
				retrieve(t, p)
			})
		})
	}
}

func TestErrorKindSurvivesSDKWrapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod := newPod(t)
		pod.RemoveToken()
		p := newProvider(t, pod.Options)
		_, err := p.Retrieve(t.Context())
		wrapped := &smithy.OperationError{ServiceID: "S3", OperationName: "PutObject", Err: err}
		assert.ErrorIs(t, wrapped, irsa.ErrTokenFile)
		assert.ErrorIs(t, wrapped, fs.ErrNotExist)
		assert.NotErrorIs(t, wrapped, irsa.ErrUnavailable)
	})
}

func TestErrorKindOfRejectedCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod := newPod(t)
		var seen recorder
		p := newProvider(t, pod.Options, seen.options)
		p.Invalidate(retrieve(t, p))
		p.Invalidate(retrieve(t, p))
		_, err := p.Retrieve(t.Context())
		require.ErrorIs(t, err, irsa.ErrRejected)
		assert.NotErrorIs(t, err, irsa.ErrUnavailable)
		synctest.Wait()
		assert.Equal(t, 2, seen.count(irsa.EventRejected))
		time.Sleep(time.Minute)
		retrieve(t, p)
	})
}

func TestErrorIsOneLineForAnyClaims(t *testing.T) {
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"https://a\nb","sub":"\u001b[31mroot","aud":"x\r\ny"}`))
	k, pod := newPod(t)
	k.STS.Fail(irsatest.AccessDenied, -1)
	p := newProvider(t, pod.Options, func(o *irsa.Options) {
		o.TokenFile, o.Token = "", tokens("eyJhbGciOiJSUzI1NiJ9."+claims+".c2lnbmF0dXJl")
	})
	_, err := p.Retrieve(t.Context())
	require.ErrorIs(t, err, irsa.ErrAccessDenied)
	assert.NotRegexp(t, `[[:cntrl:]]`, err.Error())
}
