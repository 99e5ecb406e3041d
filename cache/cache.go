package cache

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/schedule"
)

// Cache is an [aws.CredentialsProvider] that keeps the credentials of another provider, its
// source, fresh. Use [New] to create one. All methods are safe for concurrent use.
//
// A Cache that is dropped without [Cache.Close] is garbage collected. A pending timer does not
// keep it alive.
type Cache struct {
	source aws.CredentialsProvider
	opts   Options
	base   time.Time // start of the elapsed time
	state  atomic.Pointer[snapshot]
	events *events

	callers callers

	mu        sync.Mutex // guards the fields below and stores to state; never held across I/O
	scheduler scheduler
}

// New returns a Cache around source. The Cache does nothing until it is used: the first caller
// starts the first attempt.
//
// An attempt is one call of source.Retrieve. Its context does not depend on any caller's and ends
// after [Options].AttemptTimeout. The source should not retry for long, because the Cache retries.
func New(source aws.CredentialsProvider, optFns ...func(*Options)) *Cache {
	c := &Cache{source: source, base: time.Now()}
	for _, fn := range optFns {
		fn(&c.opts)
	}
	c.opts.setDefaults()
	c.events = newEvents(c.opts)
	c.store(&snapshot{due: schedule.Never()})
	return c
}

// now returns a reading of the wall clock and the monotonic clock.
func (c *Cache) now() schedule.Moment { return schedule.At(time.Now(), c.base) }

// Retrieve returns valid credentials. While the Cache has them, Retrieve returns immediately,
// without I/O or allocation, even if ctx has ended.
//
// Without valid credentials, Retrieve waits for the running attempt, or starts one, until ctx is
// done. An attempt continues for other callers when ctx ends. After a failed attempt, Retrieve
// immediately returns an [*Error] until the next attempt is due. There is one exception: if the
// Cache has never had credentials, callers keep waiting through the first two failures, unless
// these are permanent. The backoff after them is about 0.2 s and 1 s; an attempt that hangs takes
// up to its timeout. After Close, Retrieve returns [ErrClosed].
//
// Expires of the returned credentials is when the Cache stops serving them. That is 8 to 10 s
// before their actual expiry, or 0.8 to 1% of a lifetime below 1000 s. The margin is random, so it
// differs between Caches. It is one second once the source has returned the same credentials again.
func (c *Cache) Retrieve(ctx context.Context) (creds aws.Credentials, err error) {
	if c.TryRetrieve(&creds) {
		return creds, nil
	}
	return c.wait(ctx, 0)
}

// TryRetrieve stores valid credentials in creds and reports whether there were any. It never
// waits for an attempt. It starts a refresh that is due, but starts no attempt if the Cache has no
// valid credentials. It leaves creds unchanged if it returns false.
func (c *Cache) TryRetrieve(creds *aws.Credentials) bool {
	s := c.state.Load()
	now := time.Now()
	if now.UnixNano() >= s.fastUntil.wall || !now.Before(s.fastUntil.elapsed) {
		return c.tryRetrieveSlow(creds)
	}
	*creds = s.creds
	return true
}

// tryRetrieveSlow is the slow path of TryRetrieve.
func (c *Cache) tryRetrieveSlow(creds *aws.Credentials) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, now := c.state.Load(), c.now()
	if s.closed || !s.serves(now, 0) {
		return false
	}
	s = c.recordUse(s)
	if s.due.Reached(now) {
		c.advanceLocked()
	}
	*creds = s.creds
	return true
}

// Refresh starts a new attempt and waits until it completes or ctx is done. The attempt starts
// after the call, and concurrent calls share it. Requested attempts start at least one second
// apart. After a failed attempt the next one does not start before it is due.
//
// Refresh returns nil if the attempt succeeded. Otherwise it returns an [*Error], the error of ctx
// or [ErrClosed]. If ctx has already ended, Refresh requests the attempt and returns without
// waiting.
func (c *Cache) Refresh(ctx context.Context) error {
	mustWait := ctx.Err() == nil // c.mu is not held, because a context is foreign code
	c.mu.Lock()
	target := c.scheduler.started + 1
	if c.scheduler.attempt != nil && c.scheduler.attempt.waiting() {
		target = c.scheduler.started // it has not called the source yet
	} else {
		c.scheduler.requested = true
	}
	c.scheduler.demand = true
	c.advanceLocked()
	if mustWait {
		c.promote(false)
	}
	return c.await(ctx, target, nil)
}

// Wake makes a Cache whose last attempt failed try again without further backoff, but not within
// a second of the start of that attempt. Call it when a retry is likely to succeed, such as after
// a token was rotated. If an attempt is running and fails, the next one follows immediately, with
// the same minimum of one second. Wake does not block. It is a no-op if the last attempt succeeded
// and none is running.
func (c *Cache) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Load().failures == 0 && c.scheduler.attempt == nil {
		return
	}
	c.scheduler.woken = true
	c.scheduler.demand = true
	c.advanceLocked()
}

// AdjustExpiresBy returns the credentials unchanged. An aws.CredentialsCache around this Cache
// calls it to apply its ExpiryWindow. Since a Cache refreshes early anyway, an ExpiryWindow would
// only make that cache wait.
func (c *Cache) AdjustExpiresBy(creds aws.Credentials, _ time.Duration) (aws.Credentials, error) {
	return creds, nil
}

// ProviderSources returns the credential sources that the source reports, or nil if it reports
// none. The SDK includes them in its User-Agent header.
func (c *Cache) ProviderSources() []aws.CredentialSource {
	if source, ok := c.source.(aws.CredentialProviderSource); ok {
		return source.ProviderSources()
	}
	return nil
}

// IsCredentialsProvider reports whether the source is of the type of target: see
// [aws.IsCredentialsProvider]. Service clients use it to recognize anonymous credentials, which
// they do not sign with.
func (c *Cache) IsCredentialsProvider(target aws.CredentialsProvider) bool {
	return aws.IsCredentialsProvider(c.source, target)
}

// Format implements [fmt.Formatter]. It prints only the state, for every verb, because the source
// may contain secrets.
func (c *Cache) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "cache.Cache(%s)", c.Status().State) }

// Close closes the Cache. It cancels the running attempt, and waits until the source has returned
// and pending events are delivered. Callers that wait for credentials immediately get [ErrClosed],
// and so does every later Retrieve.
//
// Close may be called more than once. It waits at most for Options.AttemptTimeout, then returns an
// error if the source or the observer has still not returned. It must not be called by the source
// or the observer.
func (c *Cache) Close() error {
	c.mu.Lock()
	if s := c.state.Load(); !s.closed {
		c.store(s.asClosed())
		c.scheduler.stop()
	}
	running := c.scheduler.attempt
	if running != nil && running.ticket != nil && c.opts.Limiter.cancel(running.ticket) {
		close(running.returned)
	}
	c.mu.Unlock()

	limit := time.NewTimer(c.opts.AttemptTimeout)
	defer limit.Stop()
	if running != nil {
		select {
		case <-running.returned:
		case <-limit.C:
			return errSourceRuns
		}
	}
	for _, idle := range []<-chan struct{}{c.events.logs.Idle(), c.events.observations.Idle()} {
		select {
		case <-idle:
		case <-limit.C:
			return errObserverRuns
		}
	}
	return nil
}
