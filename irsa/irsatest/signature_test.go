package irsatest_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// retrieve returns credentials for the pod's role.
func (w *world) retrieve(ctx context.Context, t *testing.T) aws.Credentials {
	t.Helper()
	creds, err := w.signed().Options().Credentials.Retrieve(ctx)
	require.NoError(t, err)
	return creds
}

// tamper changes a request after it has been signed.
func tamper(change func(*smithyhttp.Request)) func(*sts.Options) {
	return func(o *sts.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("tamper", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
				change(in.Request.(*smithyhttp.Request))
				return next.HandleFinalize(ctx, in)
			}), middleware.After)
		})
	}
}

func TestSTSRejectsBadSignatures(t *testing.T) {
	type change = func(*aws.Credentials)
	cases := map[string]struct {
		change  change
		options func(*sts.Options)
		wait    time.Duration
		skew    time.Duration
		code    string
		status  int
		message string
	}{
		"an unknown access key": {
			change:  func(c *aws.Credentials) { c.AccessKeyID = "ASIA2222222222222222" },
			code:    "InvalidClientTokenId",
			status:  403,
			message: `^The security token included in the request is invalid\.$`,
		},
		"no session token": {
			change:  func(c *aws.Credentials) { c.SessionToken = "" },
			code:    "InvalidClientTokenId",
			status:  403,
			message: `is invalid`,
		},
		"another session's token": {
			change:  func(c *aws.Credentials) { c.SessionToken = strings.ToUpper(c.SessionToken) },
			code:    "InvalidClientTokenId",
			status:  403,
			message: `is invalid`,
		},
		"another secret key": {
			change:  func(c *aws.Credentials) { c.SecretAccessKey = strings.ToLower(c.SecretAccessKey) },
			code:    "SignatureDoesNotMatch",
			status:  403,
			message: `^The request signature we calculated does not match the signature you provided\.`,
		},
		"expired credentials": {
			wait:    time.Hour,
			code:    "ExpiredToken",
			status:  403,
			message: `^The security token included in the request is expired$`,
		},
		"a clock that is behind": {
			skew:    6 * time.Minute,
			code:    "SignatureDoesNotMatch",
			status:  403,
			message: `^Signature expired: 20000101T000000Z is now earlier than 20000101T000100Z \(20000101T000600Z - 5 min\.\)$`,
		},
		"a clock that is ahead": {
			skew:    -6 * time.Minute,
			code:    "SignatureDoesNotMatch",
			status:  403,
			message: `^Signature not yet current: `,
		},
		"a header that was changed": {
			options: tamper(func(r *smithyhttp.Request) {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
			}),
			code:    "SignatureDoesNotMatch",
			status:  403,
			message: `^The request signature we calculated`,
		},
		"a body that was changed": {
			options: tamper(func(r *smithyhttp.Request) {
				changed, err := r.SetStream(strings.NewReader("Version=2011-06-15&Action=GetCallerIdentity"))
				if err != nil {
					panic(err)
				}
				*r = *changed
			}),
			code:    "SignatureDoesNotMatch",
			status:  403,
			message: `^The request signature we calculated`,
		},
		"no signature": {
			options: tamper(func(r *smithyhttp.Request) { r.Header.Del("Authorization") }),
			code:    "MissingAuthenticationToken",
			status:  403,
			message: `^Request is missing Authentication Token$`,
		},
		"half a signature": {
			options: tamper(func(r *smithyhttp.Request) {
				header := r.Header.Get("Authorization")
				r.Header.Set("Authorization", header[:len(header)-10])
			}),
			code:    "IncompleteSignature",
			status:  400,
			message: `Authorization header requires`,
		},
		"a signature for another region": {
			options: func(o *sts.Options) {
				o.Region, o.BaseEndpoint = "moon-east-1", aws.String("https://sts.us-west-2.amazonaws.com")
			},
			code:    "SignatureDoesNotMatch",
			status:  403,
			message: `^Credential should be scoped to a valid region`,
		},
		"a signature over a header that proxies change": {
			options: tamper(func(r *smithyhttp.Request) {
				r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "x-amz-date", "user-agent;x-amz-date", 1))
			}),
			code:    "SignatureDoesNotMatch",
			status:  403,
			message: `^The request signature we calculated`,
		},
		"a signature for another service": {
			options: tamper(func(r *smithyhttp.Request) {
				r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "/sts/", "/s3/", 1))
			}),
			code:    "SignatureDoesNotMatch",
			status:  403,
			message: `^Credential should be scoped to correct service: 'sts'\. $`,
		},
		"a malformed scope": {
			options: tamper(func(r *smithyhttp.Request) {
				r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "/sts/", "/", 1))
			}),
			code:    "IncompleteSignature",
			status:  400,
			message: `^Credential must have exactly 5 slash-delimited elements`,
		},
		"a malformed date": {
			options: tamper(func(r *smithyhttp.Request) { r.Header.Set("X-Amz-Date", "yesterday") }),
			code:    "IncompleteSignature",
			status:  400,
			message: `^Date must be in ISO-8601 'basic format'\. Got 'yesterday'`,
		},
		"a date of another day": {
			options: tamper(func(r *smithyhttp.Request) { r.Header.Set("X-Amz-Date", "20000102T000000Z") }),
			code:    "SignatureDoesNotMatch",
			status:  403,
			message: `^Date in Credential scope does not match`,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := inMemory(t)
				creds := w.retrieve(t.Context(), t)
				use := creds
				if c.change != nil {
					c.change(&use)
				}
				w.STS.SetClockSkew(c.skew)
				time.Sleep(c.wait)
				with := func(creds aws.Credentials) func(*sts.Options) {
					return func(o *sts.Options) {
						o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return creds, nil })
					}
				}
				options := []func(*sts.Options){with(use)}
				if c.options != nil {
					options = append(options, c.options)
				}
				_, err := w.signed(options...).GetCallerIdentity(t.Context(), nil)
				assert.Regexp(t, c.message, requireRejection(t, err, c.code, c.status))

				w.STS.SetClockSkew(0)
				if c.wait > 0 {
					creds = w.retrieve(t.Context(), t)
				}
				_, err = w.signed(with(creds)).GetCallerIdentity(t.Context(), nil)
				require.NoError(t, err, "the cause is repaired")
			})
		})
	}
}

// "aws eks get-token" sends such a URL.
func TestSTSAcceptsPresignedGetCallerIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		presigned, err := sts.NewPresignClient(w.signed()).PresignGetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}, func(o *sts.PresignOptions) {
			o.ClientOptions = append(o.ClientOptions, func(o *sts.Options) {
				o.APIOptions = append(o.APIOptions, smithyhttp.AddHeaderValue("x-k8s-aws-id", "cluster"))
			})
		})
		require.NoError(t, err)
		get := func(target, cluster string) (int, string) {
			r, err := http.NewRequestWithContext(t.Context(), presigned.Method, target, nil)
			require.NoError(t, err)
			r.Header.Set("x-k8s-aws-id", cluster)
			res, err := w.HTTPClient().Do(r)
			require.NoError(t, err)
			return res.StatusCode, readAll(t, res)
		}
		status, body := get(presigned.URL, "cluster")
		assert.Equal(t, 200, status)
		assert.Contains(t, body, "assumed-role/s3-writer/cart")

		status, body = get(presigned.URL, "another")
		assert.Equal(t, 403, status)
		assert.Contains(t, body, "SignatureDoesNotMatch")

		u, err := url.Parse(presigned.URL)
		require.NoError(t, err)
		form := u.Query()
		form.Set("Action", "AssumeRole")
		u.RawQuery = form.Encode()
		status, body = get(u.String(), "cluster")
		assert.Equal(t, 403, status)
		assert.Contains(t, body, "SignatureDoesNotMatch")

		time.Sleep(16 * time.Minute)
		status, body = get(presigned.URL, "cluster")
		assert.Equal(t, 403, status)
		assert.Contains(t, body, "Signature expired")
	})
}
