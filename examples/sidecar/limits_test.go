package main

import (
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestListenOnLoopbackRejectsOtherAddresses(t *testing.T) {
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		_, _, err := listenOnLoopback(address)
		require.ErrorContains(t, err, "is not a loopback address", address)
	}
}

// An empty address would be a random port on every interface.
func TestListenRejectsEmptyAddress(t *testing.T) {
	const free = "127.0.0.1:0"
	for name, o := range map[string]options{
		"health":  {listen: free, metrics: free},
		"metrics": {listen: free, health: free},
	} {
		t.Run(name, func(t *testing.T) {
			listeners, _, err := listen(o)
			for _, l := range listeners {
				if err == nil {
					assert.NoError(t, l.Close())
				}
			}
			require.ErrorContains(t, err, "-health and -metrics need an address")
		})
	}
}

func TestServerRejectsOversizedHeaders(t *testing.T) {
	r := newSidecar(t, 16)
	connection, err := net.Dial("tcp", r.credentials.Addr().String())
	require.NoError(t, err)
	defer func() { _ = connection.Close() }()
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nX-More: %s\r\n\r\n",
		path, r.credentials.Addr(), r.token(t), strings.Repeat("x", 16<<10))
	_, _ = io.WriteString(connection, request) // the server may have closed the connection
	answer, _ := io.ReadAll(connection)
	assert.NotContains(t, string(answer), "200 OK")
	assert.NotContains(t, string(answer), "ASIA")
	if len(answer) > 0 {
		assert.Contains(t, string(answer), "431 Request Header Fields Too Large")
	}
}

func TestServerClosesSlowConnection(t *testing.T) {
	r := newSidecar(t, 16)
	connection, err := net.Dial("tcp", r.credentials.Addr().String())
	require.NoError(t, err)
	defer func() { _ = connection.Close() }()
	_, err = io.WriteString(connection, "GET /credentials HTTP/1.1\r\nX-Slow: ")
	require.NoError(t, err)
	require.Eventually(t, func() bool { // in one minute, too few bytes to exceed the header limit
		_, err := io.WriteString(connection, "x")
		return err != nil
	}, time.Minute, 20*time.Millisecond)
}

func TestFitConnectionsLeavesOpenFilesForOthers(t *testing.T) {
	for _, tt := range []struct{ connections, files, want int }{
		{512, math.MaxInt32, 512}, {512, 1600, 512}, {512, 1599, 511}, {512, 1024, 320}, {1, 1024, 1}, {512, 10, 1},
	} {
		assert.Equal(t, tt.want, fitConnections(tt.connections, tt.files), tt)
	}
	assert.Positive(t, openFiles())
}
