package cache

import (
	"sync/atomic"
	"time"
)

// callers counts the callers that waited for credentials or got an error.
type callers struct {
	waits, waited, errors atomic.Int64
}

// record records a caller that has been answered. since is when it started to wait, zero if it did
// not. failed reports whether it got an error that is the Cache's: that excludes cancellation by
// the caller, a MinTTL that no credentials can satisfy, and a closed Cache.
func (c *callers) record(since time.Time, failed bool) {
	if !since.IsZero() {
		c.waits.Add(1)
		c.waited.Add(int64(time.Since(since)))
	}
	if failed {
		c.errors.Add(1)
	}
}
