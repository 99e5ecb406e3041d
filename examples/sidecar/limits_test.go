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

func TestListenOnLoopbackRejectsOtherAddresses(t *testing.T) {
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		_, _, err := listenOnLoopback(address)
		require.ErrorContains(t, err, "is not a loopback address", address)
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

func TestServerQueuesConnectionsBeyondLimit(t *testing.T) {
	r := newSidecar(t, 1)
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\n\r\n", path, r.credentials.Addr(), r.token(t))
	open := func() net.Conn {
		connection, err := net.Dial("tcp", r.credentials.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = connection.Close() })
		_, err = io.WriteString(connection, request)
		require.NoError(t, err)
		return connection
	}
	status := func(connection net.Conn) int {
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		require.NoError(t, err)
		defer func() { _ = response.Body.Close() }()
		return response.StatusCode
	}
	first := open()
	assert.Equal(t, http.StatusOK, status(first))
	second := open()
	require.NoError(t, second.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
	_, err := second.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "the first connection uses up the limit")
	require.NoError(t, second.SetReadDeadline(time.Time{}))
	require.NoError(t, first.Close())
	assert.Equal(t, http.StatusOK, status(second))
}

// The server closes connections that stop sending. A flood of them does not affect existing
// connections.
func TestServerServesDuringFloodOfSlowConnections(t *testing.T) {
	r := newSidecar(t, 8)
	token := r.token(t)
	client := &http.Client{} // connects before the flood
	get := func() int {
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
	require.Equal(t, http.StatusOK, get())

	var flood []net.Conn
	for range 100 {
		connection, err := net.Dial("tcp", r.credentials.Addr().String())
		require.NoError(t, err)
		flood = append(flood, connection)
		_, _ = io.WriteString(connection, "GET /credentials HTTP/1.1\r\nHost: ")
	}
	for range 100 {
		require.Equal(t, http.StatusOK, get())
	}
	require.NoError(t, flood[0].SetReadDeadline(time.Now().Add(time.Minute)))
	_, err := flood[0].Read(make([]byte, 1<<10))
	for err == nil {
		_, err = flood[0].Read(make([]byte, 1<<10))
	}
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the server closes the connection")
	for _, connection := range flood {
		require.NoError(t, connection.Close())
	}
	response, _ := send(t, r.uri(), with(token)) // over a new connection
	assert.Equal(t, http.StatusOK, response.StatusCode)
}
