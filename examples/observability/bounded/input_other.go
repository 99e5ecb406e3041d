//go:build !unix

package bounded

import "net"

// hasInput returns false, because there is no portable way to check.
func hasInput(net.Conn) bool { return false }
