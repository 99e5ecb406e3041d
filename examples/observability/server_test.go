package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// patience is how long the tests wait for something that should happen immediately.
const patience = time.Minute

func TestStartServesWhileOtherClientsAreSilent(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) }) // runs after the Provider is closed
	_, pod := newPod(t)
	p, metrics := newObserved(t, pod)
	url, shutdown, err := start(t.Context(), "127.0.0.1:0", handler(p, metrics))
	require.NoError(t, err)
	address := strings.TrimPrefix(url, "http://")
	for _, text := range []string{"", "GET /metrics HTTP/1.1\r\nHost: ", "GET /metrics HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\n"} {
		for range maxConnections {
			c, err := net.Dial("tcp", address)
			require.NoError(t, err)
			defer func() { _ = c.Close() }()
			_, _ = io.WriteString(c, text) // the server may already have closed it
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			response, err := client.Get(url + path)
			require.NoError(t, err)
			assert.Equal(t, http.StatusOK, response.StatusCode, path)
			require.NoError(t, response.Body.Close())
		}
	}
	require.NoError(t, shutdown())
}

func TestStartAnswersRequestInProgressOnShutdown(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	url, shutdown, err := start(t.Context(), "127.0.0.1:0", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		fmt.Fprint(w, "done")
	}))
	require.NoError(t, err)
	body := make(chan string, 1)
	go func() {
		defer close(body)
		response, err := http.Get(url)
		if assert.NoError(t, err) {
			text, _ := io.ReadAll(response.Body)
			_ = response.Body.Close()
			body <- string(text)
		}
	}()
	<-arrived
	ended := make(chan error, 1)
	go func() { ended <- shutdown() }()
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}, patience, time.Millisecond)
	close(release)
	assert.Equal(t, "done", <-body)
	require.NoError(t, <-ended)
}

func TestHandlerRejectsBodies(t *testing.T) {
	_, pod := newPod(t)
	p, metrics := newObserved(t, pod)
	for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
		w := httptest.NewRecorder()
		handler(p, metrics).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, strings.NewReader("body")))
		assert.Equal(t, http.StatusRequestEntityTooLarge, w.Code, path)
	}
}
