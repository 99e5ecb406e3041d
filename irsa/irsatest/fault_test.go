package irsatest_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestSTSFailReturnsAWSErrorOnce(t *testing.T) {
	cases := map[irsatest.Fault]struct {
		code    string
		status  int
		message string
		as      error
	}{
		irsatest.Throttling:            {"Throttling", 400, "Rate exceeded", nil},
		irsatest.Unavailable:           {"ServiceUnavailable", 503, "temporary failure", nil},
		irsatest.InternalFailure:       {"InternalFailure", 500, "unknown error", nil},
		irsatest.IDPCommunicationError: {"IDPCommunicationError", 400, "could not be reached", new(types.IDPCommunicationErrorException)},
		irsatest.AccessDenied:          {"AccessDenied", 403, "Not authorized to perform", nil},
		irsatest.ExpiredToken:          {"ExpiredTokenException", 400, "expired", new(types.ExpiredTokenException)},
		irsatest.VerificationKey:       {"InvalidIdentityToken", 400, "Couldn't retrieve verification key", new(types.InvalidIdentityTokenException)},
	}
	for fault, c := range cases {
		t.Run(string(fault), func(t *testing.T) {
			onBothTransports(t, func(t *testing.T, w *world) {
				w.STS.Fail(fault, 1)
				_, err := w.assume(t.Context())
				assert.Contains(t, requireRejection(t, err, c.code, c.status), c.message)
				assert.True(t, c.as == nil || errorHasTypeOf(err, c.as), "%v", err)

				_, err = w.assume(t.Context())
				require.NoError(t, err)
				assert.Equal(t, []string{c.code, ""}, codes(w))
			})
		})
	}
}

func codes(w *world) []string {
	var out []string
	for _, call := range w.STS.Calls() {
		out = append(out, call.Err)
	}
	return out
}

func TestSTSFailCorruptsReply(t *testing.T) {
	type output = sts.AssumeRoleWithWebIdentityOutput
	cases := map[irsatest.Fault]func(t *testing.T, out *output, err error){
		irsatest.EmptyReply: func(t *testing.T, out *output, err error) {
			require.NoError(t, err, "the SDK accepts an empty reply")
			assert.Nil(t, out.Credentials)
		},
		irsatest.TruncatedReply: func(t *testing.T, _ *output, err error) {
			var response interface{ HTTPStatusCode() int }
			require.ErrorAs(t, err, &response)
			assert.Equal(t, http.StatusOK, response.HTTPStatusCode())
		},
		irsatest.HTMLReply: func(t *testing.T, out *output, err error) {
			assert.True(t, err != nil || out.Credentials == nil)
		},
		irsatest.GarbageReply: func(t *testing.T, out *output, err error) {
			assert.True(t, err != nil || out.Credentials == nil)
		},
		irsatest.NoCredentials: func(t *testing.T, out *output, err error) {
			require.NoError(t, err)
			assert.Nil(t, out.Credentials)
			assert.NotNil(t, out.AssumedRoleUser)
		},
		irsatest.EmptyKeys: func(t *testing.T, out *output, err error) {
			require.NoError(t, err)
			assert.Empty(t, *out.Credentials.AccessKeyId)
			assert.Empty(t, *out.Credentials.SecretAccessKey)
			assert.Empty(t, *out.Credentials.SessionToken)
			assert.True(t, out.Credentials.Expiration.After(time.Now()))
		},
		irsatest.ExpiredCredentials: func(t *testing.T, out *output, err error) {
			require.NoError(t, err)
			assert.True(t, out.Credentials.Expiration.Before(time.Now()))
			assert.NotEmpty(t, *out.Credentials.AccessKeyId)
		},
		irsatest.HugeReply: func(t *testing.T, out *output, err error) {
			assert.True(t, err != nil || out.Credentials == nil)
		},
	}
	for fault, check := range cases {
		t.Run(string(fault), func(t *testing.T) {
			onBothTransports(t, func(t *testing.T, w *world) {
				w.STS.Fail(fault, -1)
				out, err := w.assume(t.Context())
				check(t, out, err)
				w.STS.Recover()
				out, err = w.assume(t.Context())
				require.NoError(t, err)
				assert.NotEmpty(t, *out.Credentials.AccessKeyId)
				assert.Equal(t, []string{string(fault), ""}, codes(w))
			})
		})
	}
}

func TestSTSHugeReplyIsTenMebibytes(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		w.STS.Fail(irsatest.HugeReply, 2)
		res := post(t, w, "https://sts.us-west-2.amazonaws.com/")
		assert.EqualValues(t, -1, res.ContentLength)
		assert.Greater(t, len(readAll(t, res)), 10<<20)

		res = post(t, w, "https://sts.us-west-2.amazonaws.com/")
		_, err := io.CopyN(io.Discard, res.Body, 1000)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close(), "a client may stop reading")
	})
}

func post(t *testing.T, w *world, target string) *http.Response {
	t.Helper()
	if e := w.STS.Endpoint(); e != "" {
		target = e
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader("Action=x"))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := w.HTTPClient().Do(req)
	require.NoError(t, err)
	return res
}

func readAll(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return string(b)
}

func TestRoleFailAffectsOnlyItsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		other := w.Role("other", irsatest.Trust(w.sa))
		toOther := func(in *sts.AssumeRoleWithWebIdentityInput) { in.RoleArn = aws.String(other.ARN()) }
		other.Fail(irsatest.AccessDenied, 2)
		other.SetLatency(time.Minute)
		w.STS.SetLatency(time.Second)
		w.STS.Fail(irsatest.Throttling, 1)
		var codes []string
		var took []time.Duration
		call := func(change ...func(*sts.AssumeRoleWithWebIdentityInput)) {
			start := time.Now()
			_, err := w.assume(t.Context(), change...)
			took = append(took, time.Since(start))
			var api smithy.APIError
			if !errors.As(err, &api) {
				require.NoError(t, err)
				codes = append(codes, "")
				return
			}
			codes = append(codes, api.ErrorCode())
		}
		call(toOther)
		call()
		call()
		call(toOther)
		call(toOther)
		assert.Equal(t, []string{"AccessDenied", "Throttling", "", "AccessDenied", ""}, codes)
		assert.Equal(t, []time.Duration{time.Minute, time.Second, time.Second, time.Minute, time.Minute}, took)

		other.Fail(irsatest.InternalFailure, -1)
		w.STS.Recover()
		other.SetLatency(0)
		call(toOther)
		assert.Empty(t, codes[5])
		assert.Equal(t, time.Second, took[5])

		other.Fail(irsatest.InternalFailure, -1)
		w.STS.Fail(irsatest.Throttling, 1)
		other.Recover()
		call(toOther)
		assert.Equal(t, "Throttling", codes[6], "Role.Recover keeps the fault of the STS")
	})
}

func TestFaultsAreCompleteAndEndWithRecover(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "fault.go", nil, 0)
	require.NoError(t, err)
	var declared []irsatest.Fault
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
			if text, ok := spec.Values[0].(*ast.BasicLit); ok {
				declared = append(declared, irsatest.Fault(strings.Trim(text.Value, `"`)))
			}
		}
		return true
	})
	assert.Equal(t, declared, irsatest.Faults())
	for _, fault := range irsatest.Faults() {
		synctest.Test(t, func(t *testing.T) {
			w := inMemory(t)
			w.STS.Fail(fault, -1)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			out, err := w.assume(ctx)
			assert.True(t, err != nil || out.Credentials == nil || *out.Credentials.AccessKeyId == "" || out.Credentials.Expiration.Before(time.Now()), "%s: %v", fault, err)
			w.STS.Recover()
			_, err = w.assume(t.Context())
			assert.NoError(t, err, fault)
		})
	}
}
