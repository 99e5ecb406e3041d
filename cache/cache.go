package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/schedule"
)

// Cache is an [aws.CredentialsProvider] that wraps another one, its source, and keeps its
// credentials fresh. Use [New] to create one. All methods are safe for concurrent use.
//
// An unreachable Cache is garbage collected even if [Cache.Close] was not called. Neither a pending
// timer nor an attempt that waits for a slot of a [Limiter] keeps it alive.
type Cache struct {
	source aws.CredentialsProvider
	opts   Options
	base   time.Time // start of the elapsed clock
	state  atomic.Pointer[snapshot]
	random func() float64 // returns numbers in [0, 1)
	events *events

	waitCount, waitDuration, errorCount atomic.Int64 // see Status

	mu        sync.Mutex // guards the fields below and stores to state; never held across I/O
	scheduler scheduler
}

// New returns a new Cache that wraps source. New does not call source; the first caller starts the
// first attempt.
//
// An attempt is one call to source.Retrieve, with a context that is independent of the callers and
// is done after [Options].AttemptTimeout. Because the Cache retries, the source itself should not
// retry for long.
func New(source aws.CredentialsProvider, optFns ...func(*Options)) *Cache {
	var opts Options
	for _, fn := range optFns {
		fn(&opts)
	}
	opts.setDefaults()
	c := &Cache{source: source, opts: opts, events: newEvents(source, opts), base: time.Now(), random: rand.Float64,
		scheduler: scheduler{lastReplace: schedule.Never()}}
	c.store(newSnapshot(empty))
	return c
}

// now returns a reading of the wall clock and the monotonic clock.
func (c *Cache) now() schedule.Moment { return schedule.At(time.Now(), c.base) }

// Refresh starts a new attempt and waits until it completes or ctx is done. It never joins an
// attempt that is already running, but concurrent calls share one. Requested attempts start at
// least one second apart and, after a failure, not before the next attempt is due.
//
// Refresh returns nil if the attempt succeeds. Otherwise it returns an [*Error], an error that
// wraps ctx.Err(), or [ErrClosed]. If ctx is already done, Refresh requests the attempt and returns
// without waiting. If the source has not yet returned from an abandoned attempt, Refresh returns
// that attempt's error, and the requested attempt starts later.
func (c *Cache) Refresh(ctx context.Context) error { return c.await(ctx, c.requestRefresh(), nil) }

// requestRefresh requests an attempt and returns its number.
func (c *Cache) requestRefresh() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.scheduler.attempt; a != nil && a.progress == queued {
		return c.scheduler.started // it has not called the source yet
	}
	c.scheduler.requested = true
	return c.scheduler.started + 1
}

// Wake ends the backoff after a failed attempt. The next attempt starts immediately, or within a
// second if the failed one started less than a second ago. Call Wake when a retry is likely to
// succeed, such as after a token rotation. If an attempt is running, Wake takes effect if that
// attempt fails. Wake does not block, and is a no-op if the last attempt succeeded and no attempt
// is running.
func (c *Cache) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Load().failures > 0 || c.scheduler.attempt != nil {
		c.scheduler.woken = true
		c.demand(nil, false)
	}
}

// AdjustExpiresBy returns the credentials unchanged. An aws.CredentialsCache that wraps this
// Cache calls it to apply its ExpiryWindow. A Cache already refreshes early, so an ExpiryWindow
// would only make callers of the aws.CredentialsCache wait.
func (c *Cache) AdjustExpiresBy(creds aws.Credentials, _ time.Duration) (aws.Credentials, error) {
	return creds, nil
}

// ProviderSources returns the credential sources reported by the source, or nil if it does not
// report any. The SDK includes them in its User-Agent header.
func (c *Cache) ProviderSources() []aws.CredentialSource {
	if source, ok := c.source.(aws.CredentialProviderSource); ok {
		return source.ProviderSources()
	}
	return nil
}

// IsCredentialsProvider reports whether the source matches target (see
// [aws.IsCredentialsProvider]). Service clients call it to skip signing if the credentials are
// anonymous.
func (c *Cache) IsCredentialsProvider(target aws.CredentialsProvider) bool {
	return aws.IsCredentialsProvider(c.source, target)
}

// Format implements [fmt.Formatter]. Every verb prints only the state, because the source may
// contain secrets.
func (c *Cache) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "cache.Cache(%s)", c.Status().State) }

// Close closes the Cache. It cancels any running attempt, and waits until the source has
// returned and pending log messages and events have been delivered. Waiting calls return
// [ErrClosed] immediately, as do later calls to Retrieve.
//
// Close may be called more than once. It waits for up to Options.AttemptTimeout, and returns an
// error if the source, the log handler or the observer has not returned by then. None of these
// may call Close.
func (c *Cache) Close() error {
	c.mu.Lock()
	last := c.scheduler.attempt
	if c.state.Load().phase != closed {
		c.store(newSnapshot(closed))
		c.scheduler.stopTimer()
		c.scheduler.broadcast()
		if last != nil && last.progress != queued {
			last.cancel()
		}
	}
	if last != nil && c.slots().Cancel(last.ticket) {
		close(last.returned)
	}
	c.mu.Unlock()

	limit := time.NewTimer(c.opts.AttemptTimeout)
	defer limit.Stop()
	endsInTime := func(done <-chan struct{}) bool {
		select {
		case <-done:
			return true
		case <-limit.C:
			return false
		}
	}
	if last != nil && !endsInTime(last.returned) {
		return errors.New("cache: close timed out: the source has not returned")
	}
	if !endsInTime(c.events.logs.Idle()) {
		return errors.New("cache: close timed out: the log handler has not returned")
	}
	if c.events.observer != nil && !endsInTime(c.events.observer.queue.Idle()) {
		return errors.New("cache: close timed out: the observer has not returned")
	}
	return nil
}
