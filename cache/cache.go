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

// Cache is an [aws.CredentialsProvider] that keeps the credentials of another one
// fresh. Make it with [New]. All its methods are safe for concurrent use.
//
// A Cache that is dropped without [Cache.Close] is collected as any value is: a
// timer that is still set does not hold it.
type Cache struct {
	source aws.CredentialsProvider
	opts   Options
	base   time.Time // where its elapsed time starts
	state  atomic.Pointer[snapshot]
	events *events

	callers callers

	mu   sync.Mutex // guards what follows, and the storing of state; never held across I/O
	plan plan
}

// New returns a Cache around source. It starts nothing: the first attempt begins
// with the first caller.
//
// One call of source.Retrieve is one attempt. It gets a context of the Cache's own,
// with the limit of [Options], and must not retry for long itself: the Cache does.
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

// now reads the wall and the monotonic clock at once.
func (c *Cache) now() schedule.Moment { return schedule.At(time.Now(), c.base) }

// Retrieve returns valid credentials. While it has them it returns at once,
// without I/O or allocation, even where ctx has ended.
//
// Without valid credentials it waits for the attempt under way, or begins one, but
// no longer than ctx lasts; the attempt goes on for others. After a failed attempt
// it returns an [*Error] at once until the next attempt is due, with one
// exception: a Cache that never had credentials keeps its callers waiting through
// the first two failures, unless they are permanent. The waits after them are 0.2
// and 1 s; an attempt that is never answered takes its own limit. After Close
// Retrieve returns [ErrClosed].
//
// The Expires of the credentials is the time at which the Cache stops serving
// them: 8 to 10 s before their end, or 0.8 to 1% of a shorter lifetime. It differs between
// Caches, and is a second before the end once the source has returned the same credentials again.
func (c *Cache) Retrieve(ctx context.Context) (creds aws.Credentials, err error) {
	if c.TryRetrieve(&creds) {
		return creds, nil
	}
	return c.wait(ctx, 0)
}

// TryRetrieve puts the credentials that are served into creds, and returns false where
// there are none: it is a Retrieve that never waits, and does not say why. It begins a
// refresh that is due, but no attempt where there is nothing to serve.
func (c *Cache) TryRetrieve(creds *aws.Credentials) bool {
	s := c.state.Load()
	now := time.Now()
	if now.UnixNano() >= s.calm.wall || !now.Before(s.calm.elapsed) {
		return c.tryServe(creds)
	}
	*creds = s.creds
	return true
}

// tryServe is TryRetrieve where there is more to do than to return credentials.
func (c *Cache) tryServe(creds *aws.Credentials) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, now := c.state.Load(), c.now()
	if s.closed || !s.serves(now, 0) {
		return false
	}
	s = c.noteUse(s)
	if s.due.Reached(now) {
		c.advanceLocked()
	}
	*creds = s.creds
	return true
}

// Refresh makes a new attempt and waits for it, but no longer than ctx lasts: the
// result is that after an attempt that began after the call. Calls at the same time
// share an attempt, attempts that are asked for begin a second apart at least, and
// after a failed one the next attempt comes when it is due. Refresh returns nil if
// there are new credentials, else an [*Error], ctx's error or [ErrClosed]. With a ctx
// that has ended already it only asks for the attempt, and does not block.
func (c *Cache) Refresh(ctx context.Context) error {
	waits := ctx.Err() == nil // a context is foreign code: c.mu is not held
	c.mu.Lock()
	target := c.plan.begun + 1
	if c.plan.call != nil && c.plan.call.waits() {
		target = c.plan.begun // which has yet to call the source
	} else {
		c.plan.asked = true
	}
	c.plan.demand = true
	c.advanceLocked()
	if waits {
		c.hurry(false)
	}
	return c.await(ctx, target, nil)
}

// Wake makes a Cache whose last attempt failed try again now (a second after that
// attempt began, at the earliest): call it when there is reason to hope, such as a
// new token. If an attempt is under way and fails, it is repeated at once. Wake does
// not block, and does nothing where the last attempt succeeded.
func (c *Cache) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Load().failures == 0 && c.plan.call == nil {
		return
	}
	c.plan.woken = true
	c.plan.demand = true
	c.advanceLocked()
}

// AdjustExpiresBy returns the credentials unchanged. An aws.CredentialsCache around
// this one calls it to apply its ExpiryWindow, which would only make it wait: what
// comes from here is refreshed early already.
func (c *Cache) AdjustExpiresBy(creds aws.Credentials, _ time.Duration) (aws.Credentials, error) {
	return creds, nil
}

// ProviderSources returns where the source says that it has its credentials from,
// nil if it does not say. The SDK counts them in its User-Agent header.
func (c *Cache) ProviderSources() []aws.CredentialSource {
	if source, ok := c.source.(aws.CredentialProviderSource); ok {
		return source.ProviderSources()
	}
	return nil
}

// IsCredentialsProvider reports whether the source is of target's type: see
// [aws.IsCredentialsProvider]. Service clients call it to recognize anonymous credentials,
// with which they do not sign.
func (c *Cache) IsCredentialsProvider(target aws.CredentialsProvider) bool {
	return aws.IsCredentialsProvider(c.source, target)
}

// Format prints what it is and its state, whatever the verb: the source may hold
// secrets.
func (c *Cache) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "cache.Cache(%s)", c.Status().State) }

// Close ends the Cache: it cancels the attempt under way, waits for it and for the
// events that are still being reported, and from then on Retrieve returns
// [ErrClosed]. Callers that wait get it at once.
//
// Close can be called again. It waits no longer than an attempt may last; where a
// source or an observer has still not returned then, it returns an error that says
// so. It must not be called by the source or the observer.
func (c *Cache) Close() error {
	c.mu.Lock()
	if s := c.state.Load(); !s.closed {
		c.store(s.close())
		c.plan.stop()
	}
	call := c.plan.call
	if call != nil && call.ticket != nil && c.opts.Limiter.leave(call.ticket) {
		close(call.returned)
	}
	c.mu.Unlock()

	limit := time.NewTimer(c.opts.AttemptTimeout)
	defer limit.Stop()
	if call != nil {
		select {
		case <-call.returned:
		case <-limit.C:
			return errSourceRuns
		}
	}
	for _, idle := range []<-chan struct{}{c.events.logs.Idle(), c.events.tells.Idle()} {
		select {
		case <-idle:
		case <-limit.C:
			return errObserverRuns
		}
	}
	return nil
}
