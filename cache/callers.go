package cache

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// callers counts those who did not get credentials at once.
type callers struct {
	waits, waited, errors atomic.Int64
}

// left takes note of a caller who leaves. That he has no credentials counts unless it is his
// own doing: he went away, asked for what cannot be, or closed the Cache. since is when it began
// to wait, zero if it did not.
func (c *callers) left(since time.Time, err error) {
	if !since.IsZero() {
		c.waits.Add(1)
		c.waited.Add(int64(time.Since(since)))
	}
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, ErrMinTTL), errors.Is(err, ErrClosed):
	default:
		c.errors.Add(1)
	}
}
