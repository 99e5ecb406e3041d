//go:build unix

package bounded

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// On a busy machine, a connection's goroutine can still be in Read after the request has arrived. The
// listener must then close a different connection.
func TestListenerKeepsConnectionsWithPendingInput(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := newListener(inner, 2, nil)
	defer func() { _ = l.Close() }()
	var accepted []*conn
	var clients []net.Conn
	accept := func() {
		client, err := net.Dial("tcp", inner.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = client.Close() })
		c, err := l.Accept()
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		c.(*conn).set(&c.(*conn).reading, true)
		accepted, clients = append(accepted, c.(*conn)), append(clients, client)
	}
	accept()
	accept()
	_, err = io.WriteString(clients[0], "GET / HTTP/1.1\r\n")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return hasInput(accepted[0].Conn) }, time.Minute, time.Millisecond)
	accept()
	assert.NotNil(t, accepted[0].element, "the connection is open")
	assert.Nil(t, accepted[1].element, "the connection is closed")
}
