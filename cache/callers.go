package cache

import (
	"sync/atomic"
	"time"
)

// callers counts those who did not get credentials at once.
type callers struct {
	waits, waited, errors atomic.Int64
}

// left takes note of a caller who leaves, with an error or not. since is when it began
// to wait, zero if it did not.
func (c *callers) left(since time.Time, err error) {
	if !since.IsZero() {
		c.waits.Add(1)
		c.waited.Add(int64(time.Since(since)))
	}
	if err != nil {
		c.errors.Add(1)
	}
}
