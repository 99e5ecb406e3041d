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

// Those who ask without the token, as fast as they can and from more connections than
// there are places, keep nobody from his turn: neither a program that comes new nor the
// kubelet.
func TestAFloodOfRequestsWithoutTheTokenKeepsNobodyOut(t *testing.T) {
	r := newSidecar(t, 4)
	health := "http://" + r.health.Addr().String()
	ctx, end := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	for range 8 {
		flood.Go(func() { askOn(ctx, r.uri()) })
		flood.Go(func() { askOn(ctx, health+"/healthz") })
	}
	for range 20 { // each over a connection of its own
		response, _ := send(t, r.uri(), with(r.token(t)))
		assert.Equal(t, http.StatusOK, response.StatusCode)
		response, _ = send(t, health+"/healthz", nil)
		assert.Equal(t, http.StatusOK, response.StatusCode)
	}
	end()
	flood.Wait()
}

// askOn asks until ctx ends, over one connection as long as that is there.
func askOn(ctx context.Context, url string) {
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

func TestATokenFileThatOthersCanReadIsRefused(t *testing.T) {
	file := t.TempDir() + "/token"
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("x", 32)), 0o600))
	for mode, right := range map[os.FileMode]bool{0o600: true, 0o640: true, 0o644: false, 0o660: false, 0o604: false, 0o400: true} {
		require.NoError(t, os.Chmod(file, mode))
		err := authorization{file}.prepare(true)
		if !right {
			require.ErrorContains(t, err, "so that others can read or change the token", mode)
			continue
		}
		require.NoError(t, err)
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	}
}
