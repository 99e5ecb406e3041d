package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestItListensOnLoopbackOnly(t *testing.T) {
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		_, _, err := listenOnLoopback(address)
		require.ErrorContains(t, err, "is not a loopback address", address)
	}
}

func TestOversizedHeadersAreRefused(t *testing.T) {
	r := newSidecar(t, 16)
	connection, err := net.Dial("tcp", r.credentials.Addr().String())
	require.NoError(t, err)
	defer func() { _ = connection.Close() }()
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nX-More: %s\r\n\r\n",
		path, r.credentials.Addr(), r.token(t), strings.Repeat("x", 16<<10))
	_, _ = io.WriteString(connection, request) // it may have hung up already
	answer, _ := io.ReadAll(connection)
	assert.NotContains(t, string(answer), "200 OK")
	assert.NotContains(t, string(answer), "ASIA")
	if len(answer) > 0 {
		assert.Contains(t, string(answer), "431 Request Header Fields Too Large")
	}
}

func TestAClientThatSendsAByteAtATimeIsCut(t *testing.T) {
	r := newSidecar(t, 16)
	connection, err := net.Dial("tcp", r.credentials.Addr().String())
	require.NoError(t, err)
	defer func() { _ = connection.Close() }()
	_, err = io.WriteString(connection, "GET /credentials HTTP/1.1\r\nX-Slow: ")
	require.NoError(t, err)
	require.Eventually(t, func() bool { // in a minute these are less than the headers may have
		_, err := io.WriteString(connection, "x")
		return err != nil
	}, time.Minute, 20*time.Millisecond)
}

func TestAConnectionBeyondTheLimitWaitsForItsTurn(t *testing.T) {
	r := newSidecar(t, 1)
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\n\r\n", path, r.credentials.Addr(), r.token(t))
	ask := func() net.Conn {
		connection, err := net.Dial("tcp", r.credentials.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = connection.Close() })
		_, err = io.WriteString(connection, request)
		require.NoError(t, err)
		return connection
	}
	served := func(connection net.Conn) int {
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		require.NoError(t, err)
		defer func() { _ = response.Body.Close() }()
		return response.StatusCode
	}
	first := ask()
	assert.Equal(t, http.StatusOK, served(first))
	second := ask()
	require.NoError(t, second.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
	_, err := second.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "the first has the only place")
	require.NoError(t, second.SetReadDeadline(time.Time{}))
	require.NoError(t, first.Close())
	assert.Equal(t, http.StatusOK, served(second))
}

// Connections that send nothing more are ended by the server; those who are served
// meanwhile do not notice a flood of them.
func TestSlowConnectionsEndAndAFloodOfThemHarmsNobody(t *testing.T) {
	r := newSidecar(t, 8)
	token := r.token(t)
	client := &http.Client{} // whose connection is there before the flood
	ask := func() int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.uri(), nil)
		require.NoError(t, err)
		request.Header.Set("Authorization", token)
		response, err := client.Do(request)
		require.NoError(t, err)
		defer func() { _ = response.Body.Close() }()
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		return response.StatusCode
	}
	defer client.CloseIdleConnections()
	require.Equal(t, http.StatusOK, ask())

	var flood []net.Conn
	for range 100 {
		connection, err := net.Dial("tcp", r.credentials.Addr().String())
		require.NoError(t, err)
		flood = append(flood, connection)
		_, _ = io.WriteString(connection, "GET /credentials HTTP/1.1\r\nHost: ")
	}
	for range 100 {
		require.Equal(t, http.StatusOK, ask())
	}
	require.NoError(t, flood[0].SetReadDeadline(time.Now().Add(time.Minute)))
	_, err := flood[0].Read(make([]byte, 1<<10))
	for err == nil {
		_, err = flood[0].Read(make([]byte, 1<<10))
	}
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the server has ended it")
	for _, connection := range flood {
		require.NoError(t, connection.Close())
	}
	response, _ := send(t, r.uri(), with(token)) // a new one has its turn
	assert.Equal(t, http.StatusOK, response.StatusCode)
}
