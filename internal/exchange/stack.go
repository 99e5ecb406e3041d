package exchange

import "runtime"

// growStack grows the stack of this goroutine to what a request of the SDK needs. Each attempt runs in
// a new goroutine. Without growStack, its small stack would double, and be copied, several times
// during the request.
//
//go:noinline
func growStack() {
	var space [16 << 10]byte
	runtime.KeepAlive(&space)
}
