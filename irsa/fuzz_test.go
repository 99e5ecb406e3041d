package irsa_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/tokenfile"
)

// doer adapts a function to an HTTP client.
type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

// replyOf returns a valid response of STS. In fuzzed responses, tokenIn stands for the request's
// token.
func replyOf(action string) string {
	return "<" + action + "Response><" + action + "Result><AssumedRoleUser><Arn>arn:aws:sts::111122223333:assumed-role/r/s</Arn></AssumedRoleUser>" +
		"<Credentials><SessionToken>the-session-token-of-it</SessionToken><SecretAccessKey>the-secret-access-key</SecretAccessKey>" +
		"<Expiration>2100-01-02T15:04:05Z</Expiration><AccessKeyId>ASIAEXAMPLE</AccessKeyId></Credentials></" + action + "Result></" + action + "Response>"
}

const tokenIn = "{token}"

// FuzzReply passes arbitrary responses from servers and proxies to the STS client.
func FuzzReply(f *testing.F) {
	for _, body := range []string{
		"", " ", "<", "<html></html>", "null", "\xff", tokenIn, replyOf("AssumeRoleWithWebIdentity"), replyOf("AssumeRole"),
		"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no " + tokenIn + "</Message></Error><RequestId>1</RequestId></ErrorResponse>",
		strings.Replace(replyOf("AssumeRoleWithWebIdentity"), "2100", "1999", 1),
		strings.Replace(replyOf("AssumeRoleWithWebIdentity"), "2100-01-02T15:04:05Z", "now", 1),
		strings.Replace(replyOf("AssumeRoleWithWebIdentity"), "ASIAEXAMPLE", "", 1),
	} {
		for _, derived := range []bool{false, true} {
			f.Add(200, "text/xml", "Mon, 02 Jan 2034 15:04:05 GMT", body, derived)
			f.Add(403, "", "", body, derived)
		}
	}
	for _, peer := range echoServers {
		for derived, action := range map[bool]string{false: "AssumeRoleWithWebIdentity", true: "AssumeRole"} {
			f.Add(200, "text/xml", "", strings.NewReplacer("~", tokenIn, anyAction, action).Replace(peer.body), derived)
		}
	}
	f.Add(302, "application/json", "now", `{"Error":{"Code":"ExpiredToken"}}`, false)
	text := "e30.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6c2hvcDpjYXJ0In0." + strings.Repeat("signature", 8)
	token, err := tokenfile.Parse(text)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, status int, media, date, body string, derived bool) {
		secret := text // the secret in the request
		if derived {
			secret = "the-session-token-of-it"
		}
		body = strings.ReplaceAll(body, tokenIn, secret)
		first := true
		p, err := irsa.New(func(o *irsa.Options) {
			o.RoleARN, o.Region = "arn:aws:iam::111122223333:role/r", "us-west-2"
			o.Token = irsa.TokenFunc("fuzz", func(context.Context) (tokenfile.Token, error) { return token, nil })
			o.HTTPClient = doer(func(r *http.Request) (*http.Response, error) {
				answer := httptest.NewRecorder()
				if derived && first { // the response for the source role
					answer.Body.WriteString(replyOf("AssumeRoleWithWebIdentity"))
				} else {
					answer.Header().Set("Content-Type", media)
					answer.Header().Set("Date", date)
					answer.Body.WriteString(body)
					answer.Code = status
				}
				first = false
				response := answer.Result()
				response.Request = r
				return response, nil
			})
		})
		require.NoError(t, err)
		defer func() { require.NoError(t, p.Close()) }()
		target := p
		if derived {
			target, err = p.AssumeRole("arn:aws:iam::111122223333:role/far")
			require.NoError(t, err)
		}
		if err := target.Refresh(t.Context()); err != nil {
			requireQuiet(t, err, secret, body)
			return
		}
		creds, err := target.Retrieve(t.Context())
		require.NoError(t, err)
		require.True(t, creds.HasKeys() && creds.Expires.After(time.Now()), creds.Expires)
	})
}

// requireQuiet checks that an error is an *irsa.Error with one short line and no secrets.
func requireQuiet(t *testing.T, err error, secret, body string) {
	t.Helper()
	var typed *irsa.Error
	require.ErrorAs(t, err, &typed)
	require.Error(t, typed.Kind)
	require.NotContains(t, err.Error(), "\n")
	require.Less(t, len(err.Error()), 8<<10)
	require.NotContains(t, err.Error(), secret)
	require.NotContains(t, err.Error(), secret[strings.LastIndex(secret, ".")+1:])
	if typed.Code == "" { // otherwise it contains the server's text
		for _, name := range []string{"SecretAccessKey", "SessionToken"} {
			if secret := element(body, name); len(secret) >= 16 {
				require.NotContains(t, err.Error(), secret)
			}
		}
	}
}

// FuzzSettings passes arbitrary settings to New and Pool.Provider.
func FuzzSettings(f *testing.F) {
	f.Add("arn:aws:iam::111122223333:role/r", "/var/run/token", "shop", "us-west-2", "", "https://sts.example.com", int64(3600))
	f.Add("arn:aws-cn:iam::111122223333:role/a/b", "token", "x", "", `{"Version":"2012-10-17"}`, "://", int64(-1))
	f.Add("arn:minio:iam:::role/r", "", strings.Repeat("s", 65), "US WEST", strings.Repeat("p", 2049), "ftp://h", int64(899))
	f.Add("arn:aws:sts::1:assumed-role/r/s", "/\x00", "a\nb", "us-west-2\n", "{", "http://[::1", int64(1<<40))
	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) {
		o.RoleARN, o.Region, o.TokenFile = "arn:aws:iam::111122223333:role/r", "us-west-2", "/var/run/token"
		o.HTTPClient = newCluster(f).HTTPClient()
	})
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, pool.Close()) })
	f.Fuzz(func(t *testing.T, role, file, session, region, policy, endpoint string, seconds int64) {
		p, err := irsa.New(func(o *irsa.Options) {
			o.RoleARN, o.TokenFile, o.SessionName, o.Region, o.Policy, o.Endpoint = role, file, session, region, policy, endpoint
			o.Duration, o.HTTPClient = time.Duration(seconds)*time.Second, http.DefaultClient
		})
		_, pooled := pool.Provider(irsa.RoleOptions{
			RoleARN: role, SessionName: session, Region: region, Policy: policy, Duration: time.Duration(seconds) * time.Second,
		})
		for _, err := range []error{err, pooled} {
			if err == nil {
				continue
			}
			require.ErrorIs(t, err, irsa.ErrNotConfigured)
			require.NotContains(t, err.Error(), "\n")
		}
		if err != nil {
			require.Nil(t, p)
			return
		}
		require.NoError(t, pooled, "a Pool accepts the same options as New")
		require.Len(t, strings.SplitN(role, ":", 6), 6)
		require.True(t, strings.HasPrefix(file, "/"))
		require.NotContains(t, p.AWSConfig().Region, "/")
		require.NoError(t, p.Close())
		_, err = p.Retrieve(t.Context())
		require.ErrorIs(t, err, irsa.ErrClosed)
	})
}
