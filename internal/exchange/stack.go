package exchange

import "runtime"

// growStack grows the stack of this goroutine to the size that an SDK request needs. Each attempt runs
// in a new goroutine, whose small stack would otherwise be doubled and copied several times during the
// request.
//
//go:noinline
func growStack() {
	var space [16 << 10]byte
	runtime.KeepAlive(&space)
}
