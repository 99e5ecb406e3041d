package irsatest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// signedRequest returns a request signed with the current time.
func signedRequest(t *testing.T, creds aws.Credentials, service, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "https://store.example/a%20b/c?versions", strings.NewReader(body))
	require.NoError(t, err)
	sum := sha256.Sum256([]byte(body))
	hash := hex.EncodeToString(sum[:])
	r.Header.Set("X-Amz-Content-Sha256", hash)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	require.NoError(t, signer.SignHTTP(t.Context(), creds, r, hash, service, "us-west-2", time.Now()))
	return r
}

// presignedRequest returns a request presigned with the current time. It is valid for a minute if it
// is for STS, and otherwise for 15.
func presignedRequest(t *testing.T, creds aws.Credentials, service, payload string) *http.Request {
	t.Helper()
	seconds := "900"
	if service == "sts" {
		seconds = "60"
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://db.example:5432/?Action=connect&DBUser=app&X-Amz-Expires="+seconds, nil)
	require.NoError(t, err)
	url, _, err := v4.NewSigner().PresignHTTP(t.Context(), creds, r, payload, service, "us-west-2", time.Now())
	require.NoError(t, err)
	presigned, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	return presigned
}

// emptyHash is the SHA-256 of an empty body.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestSTSAuthenticate(t *testing.T) {
	for name, c := range map[string]struct {
		request func(*testing.T, aws.Credentials) *http.Request
		service string
		wait    time.Duration
		code    string // empty if the request is authentic
	}{
		"signed": {
			request: func(t *testing.T, creds aws.Credentials) *http.Request {
				return signedRequest(t, creds, "dynamodb", "body")
			},
			service: "dynamodb",
		},
		"signed for S3": {
			request: func(t *testing.T, creds aws.Credentials) *http.Request { return signedRequest(t, creds, "s3", "body") },
			service: "s3",
			wait:    5 * time.Minute,
		},
		"presigned": {
			request: func(t *testing.T, creds aws.Credentials) *http.Request {
				return presignedRequest(t, creds, "rds-db", emptyHash)
			},
			service: "rds-db",
			wait:    15*time.Minute - time.Second,
		},
		"presigned for STS": { // regardless of X-Amz-Expires
			request: func(t *testing.T, creds aws.Credentials) *http.Request {
				return presignedRequest(t, creds, "sts", emptyHash)
			},
			service: "sts",
			wait:    15 * time.Minute,
		},
		"presigned for STS and too old": {
			request: func(t *testing.T, creds aws.Credentials) *http.Request {
				return presignedRequest(t, creds, "sts", emptyHash)
			},
			service: "sts",
			wait:    15*time.Minute + time.Second,
			code:    "SignatureDoesNotMatch",
		},
		"presigned for S3": {
			request: func(t *testing.T, creds aws.Credentials) *http.Request {
				return presignedRequest(t, creds, "s3", "UNSIGNED-PAYLOAD")
			},
			service: "s3",
		},
		"not signed": {
			request: func(t *testing.T, creds aws.Credentials) *http.Request {
				r := signedRequest(t, creds, "s3", "body")
				r.Header.Del("Authorization")
				return r
			},
			service: "s3",
			code:    "MissingAuthenticationToken",
		},
		"another service": {
			request: func(t *testing.T, creds aws.Credentials) *http.Request { return signedRequest(t, creds, "s3", "body") },
			service: "rds-db",
			code:    "SignatureDoesNotMatch",
		},
		"another body": {
			request: func(t *testing.T, creds aws.Credentials) *http.Request {
				r := signedRequest(t, creds, "s3", "body")
				r.Body = io.NopCloser(strings.NewReader("other"))
				return r
			},
			service: "s3",
			code:    "XAmzContentSHA256Mismatch",
		},
		"another query": {
			request: func(t *testing.T, creds aws.Credentials) *http.Request {
				r := presignedRequest(t, creds, "rds-db", emptyHash)
				r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "DBUser=app", "DBUser=admin", 1)
				return r
			},
			service: "rds-db",
			code:    "SignatureDoesNotMatch",
		},
		"another secret key": {
			request: func(t *testing.T, creds aws.Credentials) *http.Request {
				creds.SecretAccessKey += "x"
				return signedRequest(t, creds, "s3", "body")
			},
			service: "s3",
			code:    "SignatureDoesNotMatch",
		},
		"unknown key": {
			request: func(t *testing.T, creds aws.Credentials) *http.Request {
				creds.AccessKeyID = "ASIA2222222222222222"
				return signedRequest(t, creds, "s3", "body")
			},
			service: "s3",
			code:    "InvalidClientTokenId",
		},
		"too old": {
			request: func(t *testing.T, creds aws.Credentials) *http.Request { return signedRequest(t, creds, "s3", "body") },
			service: "s3",
			wait:    5*time.Minute + time.Second,
			code:    "SignatureDoesNotMatch",
		},
		"presigned and too old": {
			request: func(t *testing.T, creds aws.Credentials) *http.Request {
				return presignedRequest(t, creds, "rds-db", emptyHash)
			},
			service: "rds-db",
			wait:    15 * time.Minute,
			code:    "AccessDenied",
		},
		"expired session": {
			request: func(t *testing.T, creds aws.Credentials) *http.Request {
				time.Sleep(50 * time.Minute)
				return presignedRequest(t, creds, "rds-db", emptyHash)
			},
			service: "rds-db",
			wait:    10 * time.Minute,
			code:    "ExpiredToken",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := inMemory(t)
				r := c.request(t, w.retrieve(t.Context(), t))
				time.Sleep(c.wait)

				caller, err := w.STS.Authenticate(r, c.service)

				if c.code == "" {
					require.NoError(t, err)
					assert.Regexp(t, `^arn:aws:sts::111122223333:assumed-role/`, caller)
					return
				}
				var rejected smithy.APIError
				require.ErrorAs(t, err, &rejected)
				assert.Equal(t, c.code, rejected.ErrorCode())
				assert.Empty(t, caller)
			})
		})
	}
}

func TestSTSAuthenticateRejectsPresignedLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		creds := w.retrieve(t.Context(), t)
		for _, seconds := range []string{"", "0", "-1", "604801", "1m3", "99999999999999999999"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://db.example:5432/?X-Amz-Expires="+seconds, nil)
			require.NoError(t, err)
			signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), creds, r, emptyHash, "rds-db", "us-west-2", time.Now())
			require.NoError(t, err)
			r, err = http.NewRequestWithContext(t.Context(), http.MethodGet, signed, nil)
			require.NoError(t, err)

			_, err = w.STS.Authenticate(r, "rds-db")

			assert.ErrorContains(t, err, "X-Amz-Expires must be", seconds)
		}
	})
}

// TestSTSAuthenticateAcceptsTransportRequest verifies a request as received by an http.RoundTripper.
// SDK clients leave Host empty.
func TestSTSAuthenticateAcceptsTransportRequest(t *testing.T) {
	w := inMemory(t)
	creds := w.retrieve(t.Context(), t)
	for name, r := range map[string]*http.Request{
		"signed":    signedRequest(t, creds, "s3", "thank you"),
		"presigned": presignedRequest(t, creds, "rds-db", emptyHash),
	} {
		service := map[string]string{"signed": "s3", "presigned": "rds-db"}[name]
		r.Host = ""
		_, err := w.STS.Authenticate(r, service)
		require.NoError(t, err, name)
		r.URL.Host = "other.example"
		_, err = w.STS.Authenticate(r, service)
		require.Error(t, err, name)
	}
}

func TestSTSAuthenticatePreservesBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		body := strings.Repeat("0123456789", 1000)
		r := signedRequest(t, w.retrieve(t.Context(), t), "s3", body)

		_, err := w.STS.Authenticate(r, "s3")
		require.NoError(t, err)

		left, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		assert.Equal(t, body, string(left))
	})
}

func TestSTSAuthenticateRejectsHugeBody(t *testing.T) {
	w := inMemory(t)
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPut, "https://store.example/", bytes.NewReader(make([]byte, 16<<20+1)))
	require.NoError(t, err)
	_, err = w.STS.Authenticate(r, "s3")
	assert.ErrorContains(t, err, "too large")
}
