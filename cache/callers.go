package cache

import (
	"sync/atomic"
	"time"
)

// callers counts those who did not get credentials at once.
type callers struct {
	waits, waited, errors atomic.Int64
}

// left counts a caller that has got its answer. failed reports whether that is an error which is
// not its own doing: it was not canceled, asked for what can be, and the Cache is not closed.
// since is when it began to wait, zero if it did not.
func (c *callers) left(since time.Time, failed bool) {
	if !since.IsZero() {
		c.waits.Add(1)
		c.waited.Add(int64(time.Since(since)))
	}
	if failed {
		c.errors.Add(1)
	}
}
