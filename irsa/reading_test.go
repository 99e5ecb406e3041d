package irsa_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestAfterAnIdentityThatIsRefusedTheNextTokenIsTriedWithinTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := irsatest.New(t)
		cart, stranger := k.ServiceAccount("shop", "cart"), k.ServiceAccount("shop", "stranger")
		role := k.Role("s3-writer", irsatest.Trust(cart))
		pod := k.Pod(cart, role)
		p := newProvider(t, pod.Options)
		retrieve(t, p)
		time.Sleep(time.Second)
		good := pod.Token()
		pod.Write([]byte(k.Pod(stranger, role).Token()))
		time.Sleep(3 * time.Minute) // noticed, refused, and tried more and more seldom
		require.ErrorIs(t, p.Status().Err, irsa.ErrAccessDenied)
		pod.Write([]byte(good))
		time.Sleep(2 * time.Second)
		assert.Zero(t, p.Status().Failures)
	})
}

func TestATokenThatIsBackUnchangedIsTriedWithinTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod := newPod(t)
		var seen recorder
		p := newProvider(t, pod.Options, seen.options)
		retrieve(t, p)
		token := pod.Token()
		pod.RemoveToken()
		time.Sleep(55 * time.Minute)
		require.ErrorIs(t, p.Status().Err, irsa.ErrTokenFile)
		pod.Write([]byte(token))
		time.Sleep(2 * time.Second)
		assert.Zero(t, p.Status().Failures)
		assert.Zero(t, seen.count(irsa.Rotated))
	})
}

func TestRefusedCredentialsAreAKindOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod := newPod(t)
		var seen recorder
		p := newProvider(t, pod.Options, seen.options)
		p.Invalidate(retrieve(t, p))
		p.Invalidate(retrieve(t, p))
		_, err := p.Retrieve(t.Context())
		require.ErrorIs(t, err, irsa.ErrRefused)
		assert.NotErrorIs(t, err, irsa.ErrUnavailable)
		synctest.Wait()
		assert.Equal(t, 2, seen.count(irsa.Refused))
		time.Sleep(time.Minute)
		retrieve(t, p)
	})
}

// The SDK's own client follows 307 and 308, with which S3 answers for a bucket that
// is new; with a CA bundle a service client has to do so too.
func TestWithACABundleServiceClientsFollowRedirectsAsTheSDKsDoes(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
			return
		}
		fmt.Fprint(w, "found")
	}))
	defer server.Close()
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(bundle, inPEM(server.Certificate()), 0o600))
	t.Setenv("AWS_CA_BUNDLE", bundle)
	_, pod := newPod(t)
	p := newProvider(t, pod.Options)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, nil)
	require.NoError(t, err)
	response, err := p.AWSConfig().HTTPClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Equal(t, "found", string(body))
}

func TestAnErrorIsOneLineWhateverTheTokenClaims(t *testing.T) {
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

func TestAViewIsACredentialsProviderAndNoMore(t *testing.T) {
	_, pod := newPod(t)
	p := newProvider(t, pod.Options)
	view := p.MinTTL(time.Minute)
	_, closer := view.(io.Closer)
	assert.False(t, closer, "whoever closes what it is given would close the Provider")
	want := fmt.Sprintf("irsa.Provider(%s, empty)", pod.RoleARN())
	assert.Equal(t, want, fmt.Sprintf("%+v", p))
	assert.Equal(t, want, fmt.Sprintf("%#v", view))
}
