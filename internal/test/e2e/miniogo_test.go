package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
)

// A gateway is a reverse proxy of MinIO that records STS requests, counts S3 requests, and can reset
// connections to STS.
type gateway struct {
	*httptest.Server
	minio            httputil.ReverseProxy
	noDuration       bool // removes the requested duration; credentials then expire with the token
	stsDown          atomic.Bool
	signed, unsigned atomic.Int64 // numbers of S3 requests

	mu     sync.Mutex
	tokens []string // in STS requests that were forwarded
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	target := must(url.Parse(cluster.minio.url()))
	g := &gateway{minio: httputil.ReverseProxy{Transport: cluster.authority.client.Transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is signed
	}}}
	certificate := must(tls.LoadX509KeyPair(cluster.authority.certificates(), cluster.authority.key()))
	g.Server = httptest.NewUnstartedServer(g)
	g.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	g.StartTLS()
	t.Cleanup(g.Close)
	return g
}

func (g *gateway) options(o *irsa.Options) { o.Endpoint = g.URL }

// take returns the tokens that were sent to STS since the last call.
func (g *gateway) take() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	sent := g.tokens
	g.tokens = nil
	return sent
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/": // STS
		if g.stsDown.Load() {
			panic(http.ErrAbortHandler)
		}
		g.record(r)
	case strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="):
		g.signed.Add(1)
	default:
		g.unsigned.Add(1)
	}
	g.minio.ServeHTTP(w, r)
}

func (g *gateway) record(r *http.Request) {
	_ = r.ParseForm() // MinIO reports the error
	g.mu.Lock()
	g.tokens = append(g.tokens, r.PostForm.Get("WebIdentityToken"))
	g.mu.Unlock()
	if g.noDuration { // MinIO's minimum is 15 minutes
		r.PostForm.Del("DurationSeconds")
	}
	body := r.PostForm.Encode()
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
}

// uploads runs examples/minio as the pod's container runs it, with the gateway as its server. It returns
// a function that waits for the next result. minio-go needs SSL_CERT_FILE: it ignores AWS_CA_BUNDLE.
func (p *pod) uploads(t *testing.T, g *gateway, env ...string) func() string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	env = append(env, "AWS_ENDPOINT_URL_STS="+g.URL, "SSL_CERT_FILE="+cluster.authority.certificates())
	cmd := p.command(ctx, p.Spec.Containers[0], env, "minio", strings.TrimPrefix(g.URL, "https://"), bucket)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // the program was killed
	})
	lines := bufio.NewScanner(out)
	return func() string {
		require.True(t, lines.Scan(), "the program has exited, or was killed after ten minutes")
		return lines.Text()
	}
}

// The credentials really expire. STS is down from the first refresh until they have expired.
func TestMinioGoSendsNoUnsignedRequest(t *testing.T) {
	t.Parallel()
	p, g := newPod(t), newGateway(t)
	g.noDuration = true
	day := p.token(t)
	expiringIn := func(lifetime time.Duration) string { return issuedAgo(t, day, time.Until(expiryOf(t, day))-lifetime) }
	p.write(t, expiringIn(50*time.Second))
	next := p.uploads(t, g)
	require.Equal(t, "ok", next())

	second := expiringIn(80 * time.Second)
	p.write(t, second)
	for !slices.Contains(g.take(), second) { // the refresh is due after 60 to 80% of the lifetime
		require.Equal(t, "ok", next())
	}
	g.stsDown.Store(true)
	require.Equal(t, "ok", next())
	failure := ""
	for !strings.HasPrefix(failure, "irsa: ") { // MinIO rejects a request that arrives after the expiry
		failure = next()
		require.Zero(t, g.unsigned.Load(), failure)
	}
	assert.Less(t, time.Until(expiryOf(t, second)), time.Second, failure)
	signed := g.signed.Load()
	for range 3 {
		assert.Contains(t, next(), "irsa: no credentials from STS: ")
	}
	assert.Equal(t, signed, g.signed.Load())

	p.write(t, day)
	g.stsDown.Store(false)
	for next() != "ok" {
	}
	assert.Equal(t, []string{day}, slices.Compact(g.take()))
	assert.Zero(t, g.unsigned.Load())
	t.Logf("%d signed requests; without credentials: %s", g.signed.Load(), failure)
}

func TestMinioGoSendsNoRequestIfRoleIsRejected(t *testing.T) {
	for name, tt := range map[string]struct{ role, audience string }{
		"unknown role":     {"arn:minio:iam:" + region + "::role/unknown", audience},
		"another audience": {minioRole(), "vault"},
	} {
		p, g := newPod(t), newGateway(t)
		p.write(t, p.ofAccount(t, tt.audience))
		next := p.uploads(t, g, "AWS_ROLE_ARN="+tt.role)
		for range 3 {
			assert.Contains(t, next(), "irsa: token rejected: InvalidParameterValue: ", name)
		}
		assert.NotEmpty(t, g.take(), name)
		assert.Zero(t, g.signed.Load()+g.unsigned.Load(), name)
	}
}
