package main

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Clients without the token send requests as fast as possible, over more connections than
// the limit. New clients with the token and the kubelet are still served.
func TestSidecarServesDuringUnauthorizedFlood(t *testing.T) {
	r := newSidecar(t, 4)
	health := "http://" + r.health.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	for range 8 {
		flood.Go(func() { sendUntilDone(ctx, r.uri()) })
		flood.Go(func() { sendUntilDone(ctx, health+"/healthz") })
	}
	for range 20 { // each over its own connection
		response, _ := send(t, r.uri(), with(r.token(t)))
		assert.Equal(t, http.StatusOK, response.StatusCode)
		response, _ = send(t, health+"/healthz", nil)
		assert.Equal(t, http.StatusOK, response.StatusCode)
	}
	stop()
	flood.Wait()
}

// sendUntilDone sends requests until ctx is done. It reuses its connection if possible.
func sendUntilDone(ctx context.Context, url string) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return
		}
		if response, err := client.Do(request); err == nil {
			_ = response.Body.Close()
		}
	}
}

func TestAuthorizationRejectsInsecureFileModes(t *testing.T) {
	file := t.TempDir() + "/token"
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("x", 32)), 0o600))
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o640: true, 0o644: false, 0o660: false, 0o604: false, 0o400: true} {
		require.NoError(t, os.Chmod(file, mode))
		err := authorization{file}.prepare(true)
		if !ok {
			require.ErrorContains(t, err, "so that others can read or change the token", mode)
			continue
		}
		require.NoError(t, err)
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	}
}
