package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rejected are requests that have the right token unless header changes it.
var rejected = []struct {
	reason, method, target, host, header, value string
	usable                                      bool // whether the token file is usable
	body                                        string
	status                                      int
}{
	{"wrong_host", "GET", path, "evil.example", "", "", true, "", http.StatusForbidden},
	{"wrong_host", "OPTIONS", "*", "evil.example", "", "", true, "", http.StatusForbidden},
	{"proxied", "GET", path, "localhost", "X-Forwarded-For", "10.0.0.1", true, "", http.StatusForbidden},
	{"proxied", "GET", path, "localhost", "x-forwarded-host", "evil.example", true, "", http.StatusForbidden},
	{"proxied", "GET", path, "localhost", "Forwarded", "for=10.0.0.1", true, "", http.StatusForbidden},
	{"proxied", "GET", path, "localhost", "Via", "1.1 proxy", true, "", http.StatusForbidden},
	{"proxied", "GET", path, "localhost", "via", "", true, "", http.StatusForbidden},
	{"proxied", "GET", path, "localhost", "X-Real-IP", "10.0.0.1", true, "", http.StatusForbidden},
	{"proxied", "GET", "http://localhost" + path, "localhost", "", "", true, "", http.StatusForbidden},
	{"no_token", "OPTIONS", "*", "localhost", "Authorization", "", true, "", http.StatusUnauthorized},
	{"wrong_token", "GET", path, "localhost", "Authorization", "guessed", true, "", http.StatusUnauthorized},
	{"token_unavailable", "GET", path, "localhost", "", "", false, "", http.StatusInternalServerError},
	{"wrong_path", "OPTIONS", "*", "localhost", "", "", true, "", http.StatusNotFound},
	{"has_body", "GET", path, "localhost", "", "", true, "body", http.StatusRequestEntityTooLarge},
	{"wrong_method", "POST", path, "localhost", "", "", true, "", http.StatusMethodNotAllowed},
}

func TestEndpointCountsEachRejection(t *testing.T) {
	a := authorization{filepath.Join(t.TempDir(), "token")}
	require.NoError(t, a.prepare(false))
	token, err := a.read()
	require.NoError(t, err)
	for _, tt := range rejected {
		t.Run(tt.reason+" "+tt.method+" "+tt.header, func(t *testing.T) {
			e := &endpoint{authorization: a, hosts: []string{"localhost"}, rejections: newRejections()}
			if !tt.usable {
				e.authorization.file += "-none"
			}
			request := httptest.NewRequest(tt.method, tt.target, strings.NewReader(tt.body))
			request.Host = tt.host
			request.Header.Set("Authorization", token)
			if tt.header != "" {
				request.Header.Set(tt.header, tt.value)
			}
			response := httptest.NewRecorder()
			e.ServeHTTP(response, request)
			assert.Equal(t, tt.status, response.Code)
			assert.Equal(t, "close", response.Header().Get("Connection"))
			for _, reason := range reasons {
				want := 0.0
				if reason == tt.reason {
					want = 1
				}
				assert.InDelta(t, want, testutil.ToFloat64(e.rejections.requests.WithLabelValues(reason)), 0, reason)
			}
		})
	}
}

func TestEndpointRejectsTwoTokens(t *testing.T) {
	r := newSidecar(t, 16)
	response, _ := send(t, r.uri(), func(request *http.Request) {
		request.Header["Authorization"] = []string{"guessed", r.token(t)}
	})
	assert.Equal(t, http.StatusUnauthorized, response.StatusCode)
}

func TestRejectionsDoNotFloodLog(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	previous := slog.Default()
	t.Cleanup(func() { slog.SetDefault(previous) })
	slog.SetDefault(slog.New(slog.NewTextHandler(writerFunc(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return log.Write(b)
	}), nil)))
	r := newRejections()
	start := time.Now()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10_000 {
				r.count(wrongToken)
				r.count(noToken)
			}
		})
	}
	all.Wait()
	<-r.lines.Idle()
	assert.InDelta(t, 80_000, testutil.ToFloat64(r.requests.WithLabelValues(wrongToken)), 0)
	lines := strings.Count(log.String(), "\n")
	assert.GreaterOrEqual(t, lines, 2)
	assert.LessOrEqual(t, lines, 2+2*int(time.Since(start)/logInterval))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestSidecarMetricsFollowConventions(t *testing.T) {
	r := newSidecar(t, 16)
	send(t, r.uri(), with("guessed"))
	_, body := send(t, "http://"+r.metrics.Addr().String()+"/metrics", nil)
	assert.Contains(t, body, `irsa_sidecar_rejected_requests_total{reason="wrong_token"} 1`)
	assert.Contains(t, body, `irsa_sidecar_closed_connections_total{server="credentials"} 0`)
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	require.NoError(t, err)
	assert.Empty(t, problems)
}
