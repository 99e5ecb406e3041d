package irsatest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
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

func TestEachErrorOfAWSIsAnsweredOnceAndGoes(t *testing.T) {
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
				assert.Contains(t, requireRefusal(t, err, c.code, c.status), c.message)
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

func TestEachFaultOfTheReplyReachesTheClient(t *testing.T) {
	type output = sts.AssumeRoleWithWebIdentityOutput
	cases := map[irsatest.Fault]func(t *testing.T, out *output, err error){
		irsatest.EmptyReply: func(t *testing.T, out *output, err error) {
			require.NoError(t, err, "the SDK takes it for an answer")
			assert.Nil(t, out.Credentials)
		},
		irsatest.TruncatedReply: func(t *testing.T, _ *output, err error) {
			require.ErrorContains(t, err, "StatusCode: 200")
			require.ErrorContains(t, err, "failed to decode response body") // for an EOF or a closed connection, as net/http sees it first
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

func TestAHugeReplyIsTenMebibytes(t *testing.T) {
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

func TestAResetIsAResetOfTheConnection(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		w.STS.Fail(irsatest.Reset, 1)
		_, err := w.assume(t.Context())
		require.ErrorIs(t, err, syscall.ECONNRESET)
		var op *net.OpError
		require.ErrorAs(t, err, &op)
		assert.Equal(t, "read", op.Op)

		_, err = w.assume(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"Reset", ""}, codes(w))
	})
}

func TestDownRefusesConnectionsUntilUp(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		for range 3 {
			_, err := w.assume(t.Context())
			require.NoError(t, err)

			w.STS.Down()
			w.STS.Down()
			_, err = w.assume(t.Context())
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			var op *net.OpError
			require.ErrorAs(t, err, &op)
			assert.Equal(t, "dial", op.Op)

			w.STS.Up()
			w.STS.Up()
			w.Issuer.RotateKeys()
			w.pod.Rotate()
		}
		_, err := w.assume(t.Context())
		require.NoError(t, err)

		w.STS.Down()
		w.STS.Recover()
		_, err = w.assume(t.Context())
		require.NoError(t, err)
	})
}

func TestRefusedConnectionsAreRecordedInMemory(t *testing.T) {
	w := inMemory(t)
	w.STS.Down()
	_, err := w.assume(t.Context())
	require.Error(t, err)
	call := w.STS.Calls()[0]
	assert.Equal(t, "Refused", call.Err)
	assert.Equal(t, w.pod.RoleARN(), call.RoleARN)
	assert.Equal(t, "system:serviceaccount:shop:cart", call.Subject)
}

func TestAHangEndsWithTheCallersPatience(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		w.STS.Fail(irsatest.Hang, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := w.assume(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.InDelta(t, 0.3, time.Since(start).Seconds(), 0.25)
		assert.Equal(t, []string{"NoReply"}, codes(w))
	})
}

// duringAHang runs end while a call hangs, and returns how the call ended.
func duringAHang(t *testing.T, w *world, end func()) error {
	w.STS.Fail(irsatest.Hang, -1)
	done := make(chan error, 1)
	go func() {
		_, err := w.assume(context.WithoutCancel(t.Context()))
		done <- err
	}()
	for w.STS.CallCount() == 0 {
		time.Sleep(time.Millisecond)
	}
	end()
	return <-done
}

func TestAHangEndsWithRecover(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		require.NoError(t, duringAHang(t, w, w.STS.Recover))
		assert.Equal(t, []string{""}, codes(w))
	})
}

func TestAHangEndsWithDown(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		require.Error(t, duringAHang(t, w, w.STS.Down))
		w.STS.Recover()
		_, err := w.assume(t.Context())
		require.NoError(t, err)
	})
}

func TestAHangEndsWithClose(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		require.Error(t, duringAHang(t, w, func() { assert.NoError(t, w.Close()) }))
		w.STS.Up()
		_, err := w.client().AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
			RoleArn: new("arn"), RoleSessionName: new("session"), WebIdentityToken: new("token"),
		})
		require.ErrorIs(t, err, syscall.ECONNREFUSED, "closed is for good")
	})
}

func TestLatencyIsWaitedOutAndCutByTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		w.STS.SetLatency(7 * time.Second)
		start := time.Now()
		_, err := w.assume(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 7*time.Second, time.Since(start))

		w.STS.Fail(irsatest.Throttling, 1)
		_, err = w.assume(t.Context())
		requireRefusal(t, err, "Throttling", 400)
		assert.Equal(t, 14*time.Second, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = w.assume(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 15*time.Second, time.Since(start))

		client := w.HTTPClient()
		client.Timeout = 2 * time.Second
		_, err = client.Get("https://sts.amazonaws.com/")
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		assert.True(t, timeout.Timeout())

		go func() {
			time.Sleep(3 * time.Second)
			w.STS.Down()
		}()
		_, err = w.assume(t.Context())
		require.ErrorIs(t, err, syscall.ECONNRESET, "calls under way are cut")
	})
}

func TestTheClockSkewIsInDateAndExpiration(t *testing.T) {
	for _, skew := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute, 3500 * time.Millisecond} {
		t.Run(skew.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := inMemory(t)
				time.Sleep(400 * time.Millisecond)
				w.STS.SetClockSkew(skew)
				clock := time.Now().Add(skew)

				out, err := w.assume(t.Context())
				require.NoError(t, err)
				assert.Equal(t, clock.Add(time.Hour).Truncate(time.Second).UTC(), out.Credentials.Expiration.UTC())

				res := post(t, w, "https://sts.eu-central-1.amazonaws.com/")
				assert.Equal(t, clock.UTC().Format(http.TimeFormat), res.Header.Get("Date"), "refusals carry it too")
				readAll(t, res)
			})
		})
	}
}

func TestTheDateCanBeOmitted(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		w.STS.OmitDate(true)
		res := post(t, w, "https://sts-fips.us-east-1.amazonaws.com/")
		readAll(t, res)
		assert.NotContains(t, res.Header, "Date")

		w.STS.OmitDate(false)
		res = post(t, w, "https://sts.us-east-1.api.aws/")
		readAll(t, res)
		assert.Contains(t, res.Header, "Date")
	})
}

func TestALifeCanBeShorterThanAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		for life, want := range map[time.Duration]time.Duration{
			0:                      time.Hour,
			time.Minute:            time.Minute,
			700 * time.Millisecond: 700 * time.Millisecond,
			5 * time.Hour:          time.Hour,
		} {
			w.STS.SetLife(life)
			out, err := w.assume(t.Context())
			require.NoError(t, err)
			assert.Equal(t, want, time.Until(*out.Credentials.Expiration), "SetLife(%s)", life)
		}
	})
}

func TestCallsRecordWhatWasAskedAndNeverTheToken(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		start := time.Now()
		_, err := w.assume(t.Context())
		require.NoError(t, err)
		good := w.pod.Token()
		w.pod.Rotate(irsatest.Expired)
		_, err = w.assume(t.Context())
		require.Error(t, err)

		calls := w.STS.Calls()
		require.Len(t, calls, 2)
		assert.Equal(t, 2, w.STS.CallCount())
		assert.WithinDuration(t, start, calls[0].Time, 5*time.Second)
		assert.Regexp(t, `^[0-9a-f]{8}$`, calls[0].TokenFingerprint)
		assert.NotEqual(t, calls[0].TokenFingerprint, calls[1].TokenFingerprint)
		calls[0].Time, calls[0].TokenFingerprint = time.Time{}, ""
		assert.Equal(t, irsatest.Call{
			Action:      "AssumeRoleWithWebIdentity",
			RoleARN:     "arn:aws:iam::111122223333:role/s3-writer",
			SessionName: "session",
			Subject:     "system:serviceaccount:shop:cart",
		}, calls[0])
		assert.Equal(t, "ExpiredTokenException", calls[1].Err)
		assert.Equal(t, "system:serviceaccount:shop:cart", calls[1].Subject)

		var text bytes.Buffer
		fmt.Fprintf(&text, "%+v %#v", calls, w.STS.Calls())
		require.NoError(t, json.NewEncoder(&text).Encode(calls))
		for _, token := range []string{good, w.pod.Token()} {
			for _, part := range append(strings.Split(token, "."), token) {
				assert.NotContains(t, text.String(), part)
			}
		}

		w.STS.ForgetCalls()
		assert.Empty(t, w.STS.Calls())
		assert.Zero(t, w.STS.CallCount())
	})
}

func TestManyCallersAtOnceAreServed(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				_, err := w.assume(t.Context())
				assert.NoError(t, err)
				w.Issuer.RotateKeys()
				w.pod.Rotate()
				w.STS.SetLatency(time.Millisecond)
				w.Role("other", irsatest.Trust(w.sa))
			})
		}
		callers.Wait()
		assert.Equal(t, 8, w.STS.CallCount())
	})
}

func TestAMisuseOfAStartedClusterPanics(t *testing.T) {
	w := onLoopback(t)
	assert.PanicsWithError(t, `irsatest: "Flood" is not a Fault of this package`, func() { w.STS.Fail("Flood", 1) })
	assert.PanicsWithError(t, "irsatest: Setenv needs a Cluster made by New: use Environ", w.pod.Setenv)
	assert.PanicsWithError(t, `irsatest: "Shop" is not a valid name of a namespace`, func() { w.ServiceAccount("Shop", "cart") })
	assert.PanicsWithError(t, `irsatest: "a:b" is not a valid name of a service account`, func() { w.ServiceAccount("shop", "a:b") })
	assert.PanicsWithError(t, `irsatest: "a b" is not a valid name of an IAM role`, func() { w.Role("a b") })
	assert.PanicsWithError(t, `irsatest: "1" is not an AWS account ID: it has twelve digits`, func() { w.Role("a", irsatest.InAccount("1")) })
	assert.PanicsWithError(t, `irsatest: "1" is not an AWS account ID: it has twelve digits`, func() { w.RegisterIssuer("1", w.Issuer) })
	assert.PanicsWithError(t, "irsatest: role a: the maximum session duration is 1 to 12 hours, not 15m0s", func() { w.Role("a", irsatest.MaxSessionDuration(15*time.Minute)) })
	assert.PanicsWithError(t, "irsatest: role arn:aws:iam::111122223333:role/a: trustpolicy: it is not JSON: unexpected end of JSON input", func() { w.Role("a", irsatest.TrustPolicy("")) })
	for _, key := range []string{"aws:PrincipalOrgID", "aws:SourceIp", "sts:Duration", "AWS:currenttime"} {
		policy := strings.Replace(w.role.TrustPolicy(), `"StringEquals": {`, `"StringEquals": {"`+key+`": "a",`, 1)
		assert.PanicsWithError(t, `irsatest: role `+w.role.ARN()+`: the kit does not know the condition key "`+key+`": see TrustPolicy`, func() { w.role.SetTrustPolicy(policy) })
	}
	assert.PanicsWithError(t, "irsatest: role a: either Trust or TrustPolicy", func() { w.Role("a", irsatest.Trust(w.sa), irsatest.TrustPolicy(w.role.TrustPolicy())) })
	assert.PanicsWithError(t, "irsatest: an OIDC provider has 100 client IDs at most, not 101", func() { w.RegisterIssuer("111122223333", w.Issuer, make([]string, 101)...) })
	assert.PanicsWithError(t, `irsatest: "HS256" is not an Algorithm of this package`, func() { w.Issuer.SetAlgorithm("HS256") })
	assert.PanicsWithError(t, "irsatest: a token's life of -1s: rotate with Expired for an expired token", func() {
		w.Pod(w.sa, w.role, func(o *irsatest.PodOptions) { o.TokenLife = -time.Second })
	})
	for name, document := range map[string]string{
		"an operator that is misspelt": strings.Replace(w.role.TrustPolicy(), "StringEquals", "StringEqual", 1),
		"a policy that is no JSON":     "{",
		"a policy with a Resource":     strings.Replace(w.role.TrustPolicy(), `"Effect"`, `"Resource": "*", "Effect"`, 1),
	} {
		assert.Panics(t, func() { w.role.SetTrustPolicy(document) }, name)
		assert.Panics(t, func() { w.Role("a", irsatest.TrustPolicy(document)) }, name)
	}
	assert.NotEmpty(t, w.role.TrustPolicy(), "it is as it was")
}

func TestAMisuseInATestFailsIt(t *testing.T) {
	fake := &failing{TB: t}
	k := irsatest.New(fake)
	assert.PanicsWithValue(t, fake, func() { k.STS.Fail("Flood", 1) })
	require.ErrorContains(t, errors.New(fake.message), `irsatest: "Flood" is not a Fault of this package`)
	assert.PanicsWithValue(t, fake, func() {
		irsatest.New(fake, func(o *irsatest.Options) { o.Region = "nowhere" })
	})
}

// failing is a test whose Fatal can be watched.
type failing struct {
	testing.TB
	message string
}

func (f *failing) Fatal(args ...any) {
	f.message = fmt.Sprint(args...)
	panic(f)
}

func TestARolesFaultMeetsItsCallsOnly(t *testing.T) {
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
		assert.Equal(t, "Throttling", codes[6], "the faults of all calls stay")
	})
}

func TestEveryFaultIsListedAndEndsWithRecover(t *testing.T) {
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
