//go:build unix

package bounded

import (
	"net"
	"syscall"
)

// hasInput reports whether the peer has sent data that has not been read yet. It does not block,
// because net uses non-blocking sockets.
func hasInput(c net.Conn) bool {
	tcp, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	err = raw.Control(func(fd uintptr) {
		n, _, err = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
	})
	return err == nil && n > 0
}
