package irsatest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// The external issuer is the issuer of a second Cluster, which the first Cluster can reach only with
// the client.
func TestExternalIssuerTokensAreVerified(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		external := irsatest.New(t)
		sa := external.ServiceAccount("shop", "cart")
		issuer := w.ExternalIssuer(external.Issuer.URL(), external.HTTPClient())
		assert.Equal(t, external.Issuer.URL(), issuer.URL())
		role := w.Role("s3-writer", irsatest.Trust(issuer.ServiceAccount("shop", "cart")))
		assume := func(token string) error {
			_, err := w.assume(t.Context(), withToken(token), func(in *sts.AssumeRoleWithWebIdentityInput) {
				in.RoleArn = aws.String(role.ARN())
			})
			return err
		}

		requireRejection(t, assume(sa.Token()), "InvalidIdentityToken", 400) // not yet registered
		w.RegisterIssuer("111122223333", issuer)
		old := sa.Token()
		require.NoError(t, assume(old))
		requireRejection(t, assume(sa.Token(irsatest.Invalid("bad signature"))), "InvalidIdentityToken", 400)
		requireRejection(t, assume(sa.Token(irsatest.Invalid("expired"))), "ExpiredTokenException", 400)
		requireRejection(t, assume(external.ServiceAccount("shop", "till").Token()), "AccessDenied", 403)

		external.Issuer.RotateKeys()
		require.NoError(t, assume(sa.Token()))
		require.NoError(t, assume(old))
		external.Issuer.RetireKeys()
		require.NoError(t, assume(sa.Token()))
		message := requireRejection(t, assume(old), "InvalidIdentityToken", 400)
		assert.Contains(t, message, "Couldn't retrieve verification key")
	})
}

func TestExternalIssuerCannotMintTokens(t *testing.T) {
	w, err := irsatest.Start()
	require.NoError(t, err)
	defer w.Close()
	issuer := w.ExternalIssuer("https://oidc.example.com", nil)
	sa := issuer.ServiceAccount("shop", "cart")
	for name, misuse := range map[string]func(){
		"a token":      func() { sa.Token() },
		"a pod":        func() { w.Pod(sa, w.Role("s3-writer")) },
		"a rotation":   issuer.RotateKeys,
		"a retirement": issuer.RetireKeys,
		"an algorithm": func() { issuer.SetAlgorithm("ES256") },
	} {
		assert.Contains(t, panicOf(misuse), "is external", name)
	}
	assert.Contains(t, panicOf(func() { w.ExternalIssuer("http://oidc.example.com", nil) }), "is not the URL of an OIDC issuer")
	assert.Contains(t, panicOf(func() { w.ExternalIssuer("https://oidc.example.com", nil) }), "issuer https://oidc.example.com already exists")
}

func panicOf(fn func()) (message string) {
	defer func() { message = fmt.Sprint(recover()) }()
	fn()
	return ""
}

// The issuers send an endless response, or never respond.
func TestExternalIssuerRepliesAreLimited(t *testing.T) {
	for name, fault := range map[string]http.RoundTripper{
		"too large":         endless{},
		"deadline exceeded": silent{},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := inMemory(t)
			external := irsatest.New(t)
			sa := external.ServiceAccount("shop", "cart")
			w.RegisterIssuer("111122223333", w.ExternalIssuer(external.Issuer.URL(), &http.Client{Transport: fault}))
			begin := time.Now()
			_, err := w.assume(t.Context(), withToken(sa.Token()))
			message := requireRejection(t, err, "InvalidIdentityToken", 400)
			assert.Contains(t, message, "Couldn't retrieve verification key")
			assert.LessOrEqual(t, time.Since(begin), 5*time.Second)
			reason := w.STS.Calls()[0].Reason
			assert.Contains(t, strings.ToLower(reason), name)
		})
	}
}

// endless responds with an endless sequence of blanks, which are white space in JSON.
type endless struct{}

func (endless) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(blanks{})}, nil
}

type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// silent never responds.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}
