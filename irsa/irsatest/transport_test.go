package irsatest_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestClusterHTTPClientReachesOnlyCluster(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		for _, target := range []string{
			"https://s3.us-west-2.amazonaws.com/", "http://169.254.169.254/", "http://127.0.0.1:1/",
			"https://notsts.amazonaws.com/", "https://example.com/", "https://sts..amazonaws.com/", "https://sts.evil.example/",
			"https://sts.us-west-2.amazonaws.com.cn/", "https://sts.cn-north-1.amazonaws.com/", "https://sts.us-gov-west-1.amazonaws.com/",
			"https://xsts.us-west-2.amazonaws.com/", "https://sts.us-west-2.amazonaws.com.example/",
			"https://sts-fips.eu-west-1.amazonaws.com/", "https://sts-fips.amazonaws.com/",
		} {
			_, err := w.HTTPClient().Get(target)
			var op *net.OpError
			require.ErrorAs(t, err, &op, target)
			assert.Equal(t, "dial", op.Op)
			var dns *net.DNSError
			require.ErrorAs(t, err, &dns, target)
			assert.True(t, dns.IsNotFound)
		}
		assert.Zero(t, w.STS.CallCount())
	})
}

func TestClusterHTTPClientReachesSTSHostsInPartition(t *testing.T) {
	for region, hosts := range map[string][]string{
		"us-west-2":     {"sts.amazonaws.com", "sts.us-west-2.amazonaws.com", "STS.EU-Central-1.amazonaws.com", "sts-fips.us-east-1.amazonaws.com", "sts.us-west-2.api.aws", "sts.us-west-2.amazonaws.com:443"},
		"cn-north-1":    {"sts.cn-north-1.amazonaws.com.cn", "sts.cn-northwest-1.api.amazonwebservices.com.cn"},
		"us-gov-west-1": {"sts.us-gov-west-1.amazonaws.com", "sts.us-gov-east-1.api.aws"},
		"us-iso-east-1": {"sts.us-iso-east-1.c2s.ic.gov", "sts-fips.us-iso-west-1.c2s.ic.gov"},
	} {
		w := inMemory(t, func(o *irsatest.Options) { o.Region = region })
		for _, host := range hosts {
			readAll(t, post(t, w, "https://"+host+"/"))
		}
		assert.Equal(t, len(hosts), w.STS.CallCount())
	}
}

// callbackReader is a request body that calls a function when it is read.
type callbackReader func()

func (f callbackReader) Read([]byte) (int, error) { f(); return 0, io.EOF }

func TestSTSDownRefusesCallWhileReadingBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		w.STS.Fail(irsatest.Hang, -1)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://sts.amazonaws.com/", callbackReader(w.STS.Down))
		require.NoError(t, err)
		_, err = w.HTTPClient().Do(req)
		requireRefused(t, err)
		assert.Equal(t, []string{"Refused"}, codes(w))
	})
}

func TestSTSConcurrentUpAndDown(t *testing.T) {
	t.Parallel()
	w := onLoopback(t)
	for range 100 {
		var both sync.WaitGroup
		both.Go(w.STS.Up)
		both.Go(w.STS.Down)
		both.Wait()
		connection, err := net.Dial("tcp", strings.TrimPrefix(w.STS.Endpoint(), "http://"))
		_, refused := w.assume(t.Context())
		assert.Equal(t, err == nil, refused == nil, "%v, %v", err, refused)
		if err == nil {
			assert.NoError(t, connection.Close())
		}
	}
}

func TestIssuerIsReachableWhileSTSIsDown(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		get := func(url string) (status int, text string) {
			res, err := w.HTTPClient().Get(url)
			require.NoError(t, err)
			return res.StatusCode, readAll(t, res)
		}
		status, _ := get(w.Issuer.URL() + "/unknown")
		assert.Equal(t, http.StatusNotFound, status)

		w.STS.Down()
		status, document := get(w.Issuer.URL() + "/.well-known/openid-configuration")
		assert.Equal(t, http.StatusOK, status)
		var discovered struct {
			KeysURL string `json:"jwks_uri"`
		}
		require.NoError(t, json.Unmarshal([]byte(document), &discovered))
		status, keys := get(discovered.KeysURL)
		assert.Equal(t, http.StatusOK, status)
		var set jose.JSONWebKeySet
		require.NoError(t, json.Unmarshal([]byte(keys), &set))
		token, err := jwt.ParseSigned(w.pod.Token(), []jose.SignatureAlgorithm{jose.ES256})
		require.NoError(t, err)
		var claims jwt.Claims
		require.NoError(t, token.Claims(set, &claims))
		assert.Equal(t, w.Issuer.URL(), claims.Issuer)
		assert.Equal(t, "system:serviceaccount:shop:cart", claims.Subject)
	})
}

// requestBody is a request body that records whether it was closed.
type requestBody struct {
	io.Reader
	closed bool
}

func (b *requestBody) Close() error { b.closed = true; return nil }

func TestClusterMemoryTransportFollowsRoundTripperContract(t *testing.T) {
	w := inMemory(t)
	transport := w.HTTPClient().Transport
	request := func(ctx context.Context, target string) (*http.Request, *requestBody) {
		b := &requestBody{Reader: strings.NewReader("Action=x")}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, b)
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return req, b
	}

	req, b := request(t.Context(), "https://sts.us-west-2.amazonaws.com")
	res, err := transport.RoundTrip(req)
	require.NoError(t, err)
	assert.Same(t, req, res.Request)
	assert.True(t, b.closed)
	assert.Equal(t, "400 Bad Request", res.Status)
	assert.Equal(t, "text/xml", res.Header.Get("Content-Type"))
	assert.EqualValues(t, len(readAll(t, res)), res.ContentLength)

	req, b = request(t.Context(), "https://example.com")
	_, err = transport.RoundTrip(req)
	require.Error(t, err)
	assert.True(t, b.closed)

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(io.ErrNoProgress)
	req, b = request(ctx, "https://sts.us-west-2.amazonaws.com")
	_, err = transport.RoundTrip(req)
	require.ErrorIs(t, err, io.ErrNoProgress)
	assert.True(t, b.closed)
	assert.Equal(t, 1, w.STS.CallCount())
}

func TestSTSRejectsOversizedRequest(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		target := "https://sts.us-west-2.amazonaws.com"
		if e := w.STS.Endpoint(); e != "" {
			target = e
		}
		res, err := w.HTTPClient().Post(target, "application/x-www-form-urlencoded",
			strings.NewReader("Action=AssumeRoleWithWebIdentity&WebIdentityToken="+strings.Repeat("a", 1<<20)))
		require.NoError(t, err)
		readAll(t, res)
		assert.Equal(t, http.StatusBadRequest, res.StatusCode)
	})
}

func TestClusterInBubbleDoesNotNeedClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		w.STS.SetLatency(time.Hour)
		w.STS.Fail(irsatest.Hang, -1)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		for range 3 {
			_, err := w.assume(ctx)
			require.Error(t, err)
		}
	})
}

func TestClusterCloseReleasesResources(t *testing.T) {
	before := httpGoroutines()
	k, err := irsatest.Start()
	require.NoError(t, err)
	w := populate(k)
	_, err = w.assume(t.Context())
	require.NoError(t, err)
	dir := filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(w.pod.TokenFile()))))
	require.DirExists(t, dir)
	require.Greater(t, httpGoroutines(), before)

	hung := make(chan error, 1)
	w.STS.Fail(irsatest.Hang, -1)
	go func() {
		_, err := w.assume(t.Context())
		hung <- err
	}()
	require.Eventually(t, func() bool { return w.STS.CallCount() == 2 }, time.Minute, time.Millisecond)
	require.NoError(t, k.Close())
	require.NoError(t, k.Close(), "Close may be called again")
	require.Error(t, <-hung)
	assert.NoDirExists(t, dir)
	require.Eventually(t, func() bool { return httpGoroutines() <= before }, time.Minute, 10*time.Millisecond)
}

// httpGoroutines returns the number of goroutines that belong to HTTP servers and connections.
func httpGoroutines() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	n := 0
	for _, stack := range strings.Split(string(stacks), "\n\n") {
		if strings.Contains(stack, "net/http.") {
			n++
		}
	}
	return n
}

func TestClusterCloseKeepsOptionsDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "volumes")
	k, err := irsatest.Start(func(o *irsatest.Options) { o.Dir = dir })
	require.NoError(t, err)
	w := populate(k)
	require.NoError(t, k.Close())
	assert.FileExists(t, w.pod.TokenFile())
	assert.True(t, strings.HasPrefix(w.pod.TokenFile(), dir))
}

func TestStartRejectsInvalidOptions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, option := range map[string]func(*irsatest.Options){
		"no region":    func(o *irsatest.Options) { o.Region = "us_west" },
		"no partition": func(o *irsatest.Options) { o.Region = "mars-north-1" },
		"no account":   func(o *irsatest.Options) { o.AccountID = "12" },
		"no directory": func(o *irsatest.Options) { o.Dir = filepath.Join(file, "below") },
	} {
		_, err := irsatest.Start(option)
		require.ErrorContains(t, err, "irsatest: ", name)
	}
}

func TestSTSUpFailsIfPortIsTaken(t *testing.T) {
	t.Parallel()
	w := onLoopback(t)
	w.STS.Down()
	listener, err := net.Listen("tcp", strings.TrimPrefix(w.STS.Endpoint(), "http://"))
	require.NoError(t, err)
	assert.Panics(t, w.STS.Up)
	require.NoError(t, listener.Close())
	w.STS.Up()
	_, err = w.assume(t.Context())
	require.NoError(t, err)
}
