//go:build !unix

package bounded

import "net"

// hasInput returns false, because there is no portable way to find out.
func hasInput(net.Conn) bool { return false }
