package irsatest_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// world is a cluster with a pod that may assume its role.
type world struct {
	*irsatest.Cluster
	sa   *irsatest.ServiceAccount
	role *irsatest.Role
	pod  *irsatest.Pod
}

func inMemory(t *testing.T, optFns ...func(*irsatest.Options)) *world {
	t.Helper()
	return populate(irsatest.New(t, optFns...))
}

func onLoopback(t *testing.T) *world {
	t.Helper()
	k, err := irsatest.Start()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, k.Close()) })
	return populate(k)
}

func populate(k *irsatest.Cluster) *world {
	sa := k.ServiceAccount("shop", "cart")
	role := k.Role("s3-writer", irsatest.Trust(sa))
	return &world{k, sa, role, k.Pod(sa, role)}
}

// transports are the two ways to run a test.
var transports = map[string]func(*testing.T, func(*testing.T, *world)){
	"in memory in a bubble": func(t *testing.T, test func(*testing.T, *world)) {
		synctest.Test(t, func(t *testing.T) { test(t, inMemory(t)) })
	},
	"on loopback": func(t *testing.T, test func(*testing.T, *world)) { test(t, onLoopback(t)) },
}

func onBothTransports(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	for name, run := range transports {
		t.Run(name, func(t *testing.T) { run(t, test) })
	}
}

// client is the AWS SDK's own.
func (w *world) client() *sts.Client {
	return sts.New(sts.Options{
		Region:       w.pod.Region(),
		Credentials:  aws.AnonymousCredentials{},
		HTTPClient:   w.HTTPClient(),
		BaseEndpoint: endpoint(w.Cluster),
		Retryer:      aws.NopRetryer{},
	})
}

func endpoint(k *irsatest.Cluster) *string {
	if e := k.STS.Endpoint(); e != "" {
		return &e
	}
	return nil
}

// assume exchanges the token in the pod's file, as its role.
func (w *world) assume(ctx context.Context, change ...func(*sts.AssumeRoleWithWebIdentityInput)) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	token, err := os.ReadFile(w.pod.TokenFile())
	if err != nil {
		return nil, err
	}
	in := &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(w.pod.RoleARN()),
		RoleSessionName:  aws.String("session"),
		WebIdentityToken: aws.String(string(token)),
	}
	for _, fn := range change {
		fn(in)
	}
	return w.client().AssumeRoleWithWebIdentity(ctx, in)
}

// requireRefusal checks the code and status of AWS's answer, and returns its text.
func requireRefusal(t *testing.T, err error, code string, status int) string {
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

func TestATokenIsExchangedForCredentials(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		before := time.Now()
		out, err := w.assume(t.Context())
		require.NoError(t, err)

		assert.Regexp(t, `^ASIA[A-Z2-7]{16}$`, *out.Credentials.AccessKeyId)
		assert.Len(t, *out.Credentials.SecretAccessKey, 40)
		assert.Regexp(t, `^[A-Za-z0-9+/=]{400,1000}$`, *out.Credentials.SessionToken)
		assert.WithinDuration(t, before.Add(time.Hour), *out.Credentials.Expiration, 2*time.Second)
		assert.Zero(t, out.Credentials.Expiration.Nanosecond(), "AWS sends whole seconds")
		assert.Equal(t, "arn:aws:sts::111122223333:assumed-role/s3-writer/session", *out.AssumedRoleUser.Arn)
		assert.Regexp(t, `^AROA[A-Z2-7]{17}:session$`, *out.AssumedRoleUser.AssumedRoleId)
		assert.Equal(t, "sts.amazonaws.com", *out.Audience)
		_, issuer, _ := strings.Cut(w.Issuer.URL(), "://")
		assert.Equal(t, "arn:aws:iam::111122223333:oidc-provider/"+issuer, *out.Provider)
		assert.Equal(t, "system:serviceaccount:shop:cart", *out.SubjectFromWebIdentityToken)
		id, ok := awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
		assert.True(t, ok)
		assert.Regexp(t, `^[0-9a-f-]{36}$`, id)

		again, err := w.assume(t.Context())
		require.NoError(t, err)
		assert.NotEqual(t, *out.Credentials.AccessKeyId, *again.Credentials.AccessKeyId)
	})
}

func TestEachRefusalIsAWSsAndEndsWithItsCause(t *testing.T) {
	type input = sts.AssumeRoleWithWebIdentityInput
	expired := new(types.ExpiredTokenException)
	invalid := new(types.InvalidIdentityTokenException)
	malformed := new(types.MalformedPolicyDocumentException)
	cases := map[string]struct {
		spoil   func(t *testing.T, w *world)
		change  func(*input)
		repair  func(w *world)
		code    string
		status  int
		message string // regular expression
		as      error  // the SDK's type; nil is the generic one
	}{
		"a role that trusts nobody": {
			spoil:   func(_ *testing.T, w *world) { w.Role("s3-writer") },
			repair:  func(w *world) { w.Role("s3-writer", irsatest.Trust(w.sa)) },
			code:    "AccessDenied",
			status:  403,
			message: `^Not authorized to perform sts:AssumeRoleWithWebIdentity$`,
		},
		"a role that trusts another service account": {
			spoil: func(_ *testing.T, w *world) {
				w.Role("s3-writer", irsatest.Trust(w.ServiceAccount("shop", "checkout"), w.ServiceAccount("other", "cart")))
			},
			repair:  func(w *world) { w.Role("s3-writer", irsatest.Trust(w.sa)) },
			code:    "AccessDenied",
			status:  403,
			message: `^Not authorized`,
		},
		"a role that does not exist": {
			change:  func(in *input) { in.RoleArn = aws.String("arn:aws:iam::111122223333:role/unknown") },
			code:    "AccessDenied",
			status:  403,
			message: `^Not authorized`,
		},
		"a role of another account": {
			change:  func(in *input) { in.RoleArn = aws.String("arn:aws:iam::444455556666:role/s3-writer") },
			code:    "AccessDenied",
			status:  403,
			message: `^Not authorized`,
		},
		"an expired token": {
			spoil:   func(_ *testing.T, w *world) { w.pod.RotateWith(-time.Minute) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "ExpiredTokenException",
			status:  400,
			message: `^Token expired: current date/time \d+ must be before the expiration date/time \d+$`,
			as:      expired,
		},
		"a token that the STS's clock has outrun": {
			spoil:   func(_ *testing.T, w *world) { w.STS.SetClockSkew(25 * time.Hour) },
			repair:  func(w *world) { w.STS.SetClockSkew(0) },
			code:    "ExpiredTokenException",
			status:  400,
			message: `^Token expired: `,
			as:      expired,
		},
		"a token for another audience": {
			spoil: func(_ *testing.T, w *world) {
				other := w.Pod(w.sa, w.role, func(o *irsatest.PodOptions) { o.Audience = "vault" })
				w.pod.Write([]byte(other.Token()))
			},
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^Incorrect token audience$`,
			as:      invalid,
		},
		"a token of another issuer": {
			spoil:   func(t *testing.T, w *world) { w.pod.Write([]byte(inMemory(t).pod.Token())) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^No OpenIDConnect provider found in your account for https://oidc\.eks\.us-west-2\.amazonaws\.com/id/[0-9A-F]{32}$`,
			as:      invalid,
		},
		"a token whose signature is of other claims": {
			spoil: func(_ *testing.T, w *world) {
				one, other := w.pod.Token(), w.Pod(w.ServiceAccount("shop", "admin"), w.role).Token()
				w.pod.Write([]byte(other[:strings.LastIndex(other, ".")] + one[strings.LastIndex(one, "."):]))
			},
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `signature`,
			as:      invalid,
		},
		"a token without a signature": {
			spoil: func(_ *testing.T, w *world) {
				w.pod.Write([]byte(`eyJhbGciOiJub25lIn0.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6c2hvcDpjYXJ0In0.`))
			},
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^The ID Token provided is not a valid JWT`,
			as:      invalid,
		},
		"something that is no token": {
			spoil:   func(_ *testing.T, w *world) { w.pod.Write([]byte("not a token")) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^The ID Token provided is not a valid JWT`,
			as:      invalid,
		},
		"half a token": {
			spoil:   func(_ *testing.T, w *world) { w.pod.WriteInPlace([]byte(w.pod.Token()[:300])) },
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `^The ID Token provided is not a valid JWT`,
			as:      invalid,
		},
		"a token that is too short": {
			change:  func(in *input) { in.WebIdentityToken = aws.String("abc") },
			code:    "ValidationError",
			status:  400,
			message: `^1 validation error detected: Value '\*\*\*' at 'webIdentityToken' failed to satisfy constraint: Member must have length greater than or equal to 4$`,
		},
		"a token that is too long": {
			change:  func(in *input) { in.WebIdentityToken = aws.String(strings.Repeat("a", 20001)) },
			code:    "ValidationError",
			status:  400,
			message: `'webIdentityToken' failed to satisfy constraint: Member must have length less than or equal to 20000$`,
		},
		"a session name with a space": {
			change:  func(in *input) { in.RoleSessionName = aws.String("my session") },
			code:    "ValidationError",
			status:  400,
			message: `Value 'my session' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: \[\\w\+=,\.@-\]\*$`,
		},
		"a session name of 65 characters": {
			change:  func(in *input) { in.RoleSessionName = aws.String(strings.Repeat("a", 65)) },
			code:    "ValidationError",
			status:  400,
			message: `'roleSessionName' .* less than or equal to 64$`,
		},
		"a role ARN that is too short, and too short a session name": {
			change: func(in *input) {
				in.RoleArn = aws.String("arn:aws:iam::1:role")
				in.RoleSessionName = aws.String("s")
			},
			code:    "ValidationError",
			status:  400,
			message: `^2 validation errors detected: .*'roleArn'.*; .*'roleSessionName'`,
		},
		"a role ARN that is none": {
			change:  func(in *input) { in.RoleArn = aws.String("role/with/a/long/enough/path") },
			code:    "ValidationError",
			status:  400,
			message: `^Request ARN is invalid$`,
		},
		"a duration under 15 minutes": {
			change:  func(in *input) { in.DurationSeconds = aws.Int32(899) },
			code:    "ValidationError",
			status:  400,
			message: `'durationSeconds' .* greater than or equal to 900$`,
		},
		"a duration over 12 hours": {
			change:  func(in *input) { in.DurationSeconds = aws.Int32(43201) },
			code:    "ValidationError",
			status:  400,
			message: `'durationSeconds' .* less than or equal to 43200$`,
		},
		"a duration over the role's maximum": {
			change:  func(in *input) { in.DurationSeconds = aws.Int32(3601) },
			code:    "ValidationError",
			status:  400,
			message: `^The requested DurationSeconds exceeds the MaxSessionDuration set for this role`,
		},
		"a session policy that is too long": {
			change:  func(in *input) { in.Policy = aws.String(strings.Repeat(" ", 2049)) },
			code:    "ValidationError",
			status:  400,
			message: `'policy' .* less than or equal to 2048$`,
		},
		"a session policy that is no JSON": {
			change:  func(in *input) { in.Policy = aws.String("{") },
			code:    "MalformedPolicyDocument",
			status:  400,
			message: `Json`,
			as:      malformed,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := inMemory(t)
				if c.spoil != nil {
					c.spoil(t, w)
				}
				if c.change == nil {
					c.change = func(*input) {}
				}
				_, err := w.assume(t.Context(), c.change)

				message := requireRefusal(t, err, c.code, c.status)
				assert.Regexp(t, c.message, message)
				if c.as == nil {
					var generic *smithy.GenericAPIError
					assert.ErrorAs(t, err, &generic)
				} else {
					assert.True(t, errorHasTypeOf(err, c.as), "%T in %v", c.as, err)
				}
				calls := w.STS.Calls()
				assert.Equal(t, c.code, calls[len(calls)-1].Err)

				if c.repair != nil {
					c.repair(w)
				}
				_, err = w.assume(t.Context())
				require.NoError(t, err, "it is the only fault")
			})
		})
	}
}

// errorHasTypeOf is errors.As for a type that only a value tells.
func errorHasTypeOf(err, example error) bool {
	switch example.(type) {
	case *types.ExpiredTokenException:
		var e *types.ExpiredTokenException
		return errors.As(err, &e)
	case *types.InvalidIdentityTokenException:
		var e *types.InvalidIdentityTokenException
		return errors.As(err, &e)
	case *types.MalformedPolicyDocumentException:
		var e *types.MalformedPolicyDocumentException
		return errors.As(err, &e)
	case *types.IDPCommunicationErrorException:
		var e *types.IDPCommunicationErrorException
		return errors.As(err, &e)
	}
	return false
}

func TestTokensOfOldAndNewKeysAreAccepted(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		_, err := w.assume(t.Context()) // STS has seen the first key
		require.NoError(t, err)
		old := w.pod.Token()

		w.Issuer.RotateKeys()
		w.pod.Rotate()
		assert.NotEqual(t, header(t, old)["kid"], header(t, w.pod.Token())["kid"])
		_, err = w.assume(t.Context())
		require.NoError(t, err, "the new key is fetched")

		w.pod.Write([]byte(old))
		_, err = w.assume(t.Context())
		require.NoError(t, err, "the old key is still published")
	})
}

func TestADurationAndAPolicyAreGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		before := time.Now()
		out, err := w.assume(t.Context(), func(in *sts.AssumeRoleWithWebIdentityInput) {
			in.DurationSeconds = aws.Int32(900)
			in.Policy = aws.String(`{"Version":"2012-10-17","Statement":[]}`)
			in.PolicyArns = []types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:policy/ReadOnlyAccess")}}
		})
		require.NoError(t, err)
		assert.Equal(t, before.Add(15*time.Minute).UTC(), out.Credentials.Expiration.UTC())
		assert.Equal(t, 15*time.Minute, w.STS.Calls()[0].Duration)
	})
}

func TestTheQueryProtocolIsSpokenAsAWSDoes(t *testing.T) {
	w := onLoopback(t)
	good := url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"},
		"RoleArn": {w.pod.RoleARN()}, "RoleSessionName": {"curl"}, "WebIdentityToken": {w.pod.Token()},
	}
	cases := map[string]struct {
		method   string
		form     url.Values
		status   int
		location string
		body     string // regular expression
	}{
		"a POST is answered":            {"POST", good, 200, "", `^<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">(?s).*<ResponseMetadata>\s*<RequestId>`},
		"a GET is answered":             {"GET", good, 200, "", `<AccessKeyId>ASIA`},
		"an unknown action is refused":  {"POST", url.Values{"Action": {"GetEverything"}, "Version": {"2011-06-15"}}, 400, "", `^<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">\s*<Error>\s*<Type>Sender</Type>\s*<Code>InvalidAction</Code>\s*<Message>Could not find operation GetEverything for version 2011-06-15</Message>\s*</Error>\s*<RequestId>`},
		"an unknown version is refused": {"POST", url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2010-05-08"}}, 400, "", `<Code>InvalidAction</Code>`},
		"no action is refused":          {"POST", url.Values{}, 400, "", `<Code>MissingAction</Code>`},
		"no parameter is refused":       {"POST", url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}}, 400, "", `3 validation errors detected: Value null at &#39;roleArn&#39;`},
		"a policy's size is reported":   {"POST", with(good, "Policy", `{"Version":"2012-10-17","Statement":[]}`), 200, "", `</Provider>\s*<PackedPolicySize>2</PackedPolicySize>\s*</`},
		"no policy has no size":         {"POST", good, 200, "", `</Provider>\s*</AssumeRoleWithWebIdentityResult>`},
		"an odd duration is refused":    {"POST", with(good, "DurationSeconds", "soon"), 400, "", `durationSeconds`},
		"a browser is sent away":        {"GET", url.Values{}, 302, "https://aws.amazon.com/iam", `^$`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			target, body := w.STS.Endpoint()+"/", c.form.Encode()
			if c.method == http.MethodGet {
				target, body = target+"?"+body, ""
			}
			req, err := http.NewRequestWithContext(t.Context(), c.method, target, strings.NewReader(body))
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			res, err := w.HTTPClient().Transport.RoundTrip(req)
			require.NoError(t, err)
			got := readAll(t, res)
			assert.Equal(t, c.status, res.StatusCode)
			assert.Equal(t, c.location, res.Header.Get("Location"))
			assert.Regexp(t, c.body, got)
		})
	}
}

func with(form url.Values, key, value string) url.Values {
	out := url.Values{key: {value}}
	for k, v := range form {
		out[k] = v
	}
	return out
}
