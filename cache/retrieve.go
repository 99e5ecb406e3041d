package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"
	"weak"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/schedule"
	"github.com/irsakit/irsakit/internal/slots"
)

// Retrieve returns valid credentials. If the Cache has them, Retrieve returns immediately,
// without I/O or allocation, even if ctx is done.
//
// Otherwise, Retrieve joins the running attempt or starts one, and waits until it completes or ctx
// is done. In the latter case, the attempt continues for other callers. After a failed attempt,
// Retrieve immediately returns an [*Error] until the next attempt is due. However, if the Cache has
// never had credentials, callers keep waiting through the first two failures, unless they are
// permanent. The backoff after these failures is about 0.2 s and 1 s; an attempt that hangs takes
// up to its timeout. After Close, Retrieve returns [ErrClosed].
//
// The Expires field of the returned credentials is when the Cache stops serving them, shortly
// before they actually expire. The margin is random: 8 to 10 s, or 0.8 to 1% of the lifetime if
// the lifetime is below 1000 s. Once the source has returned the same credentials again, the
// margin is one second.
func (c *Cache) Retrieve(ctx context.Context) (creds aws.Credentials, err error) {
	if c.TryRetrieve(&creds) {
		return creds, nil
	}
	return c.wait(ctx, 0)
}

// TryRetrieve is like Retrieve, but never waits for an attempt. It reports whether the Cache has
// valid credentials. If so, it stores them in creds, and starts a refresh if one is due. Otherwise
// it leaves creds unchanged and does not start an attempt.
func (c *Cache) TryRetrieve(creds *aws.Credentials) bool {
	s := c.state.Load()
	now := time.Now()
	if now.UnixNano() >= s.fastWall || !now.Before(s.fastElapsed) {
		return c.tryRetrieveSlow(creds)
	}
	*creds = s.creds
	return true
}

// tryRetrieveSlow is the slow path of TryRetrieve. It acquires the lock only if there are valid
// credentials.
func (c *Cache) tryRetrieveSlow(creds *aws.Credentials) bool {
	if !c.state.Load().serves(c.now(), 0) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s, now := c.state.Load(), c.now()
	if !s.serves(now, 0) {
		return false
	}
	*creds = c.use(s).creds
	return true
}

// wait is the slow path of Retrieve. It joins or starts attempts until there are credentials
// with at least minTTL remaining, and returns them or an error.
func (c *Cache) wait(ctx context.Context, minTTL time.Duration) (aws.Credentials, error) {
	caller := c.callerTicket(ctx)
	creds, changed, err := c.join(caller, minTTL, false)
	if changed == nil {
		return creds, err
	}
	start := time.Now()
	defer func() {
		c.waitCount.Add(1)
		c.waitDuration.Add(int64(time.Since(start)))
	}()
	for changed != nil {
		select {
		case <-changed:
			creds, changed, err = c.join(caller, minTTL, true)
		case <-ctx.Done():
			return aws.Credentials{}, c.contextEnded(ctx)
		}
	}
	return creds, err
}

// contextEnded returns the error for a caller whose context ended while it was waiting. The
// methods of the context and the errors are user code, so they are called without holding c.mu.
func (c *Cache) contextEnded(ctx context.Context) error {
	if !errors.Is(ctx.Err(), context.Canceled) {
		c.errorCount.Add(1)
	}
	timedOut := errors.Is(ctx.Err(), context.DeadlineExceeded)
	c.mu.Lock()
	s := c.state.Load()
	if timedOut && s.failure != nil {
		c.reportCallerFailed(s)
	}
	c.mu.Unlock()
	return s.contextError(ctx)
}

// contextError returns ctx's error, combined with its cause and with the problem of s, if any.
func (s *snapshot) contextError(ctx context.Context) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); !errors.Is(cause, err) {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	if problem := s.problem(); problem != nil {
		err = fmt.Errorf("%w; last error: %w", err, problem)
	}
	return fmt.Errorf("cache: waiting for credentials: %w", err)
}

// repeatSpacing is the minimum time between attempts requested by views while the source does not
// renew its credentials.
const repeatSpacing = time.Minute

// join returns credentials with at least minTTL remaining, an error, or a channel that is closed when
// the state changes. It starts or schedules an attempt as needed. caller is the ticket of the attempt
// whose source called Retrieve, or nil. If waited is true, the caller has already waited for an
// attempt, and gets its error rather than waiting for another.
func (c *Cache) join(caller *slots.Ticket, minTTL time.Duration, waited bool) (aws.Credentials, <-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, now := c.state.Load(), c.now()
	serving := s.serves(now, 0)
	if serving {
		s = c.use(s)
	}
	switch {
	case s.phase == closed:
		return aws.Credentials{}, nil, ErrClosed
	case serving && minTTL > schedule.MaxMinTTL(s.lifetime):
		return aws.Credentials{}, nil, fmt.Errorf("%w: MinTTL %v exceeds 60%% of the lifetime of about %v",
			ErrMinTTL, minTTL, cmp.Or(s.lifetime.Round(time.Minute), s.lifetime.Truncate(time.Second))) // stable, because lifetimes vary by seconds
	case s.serves(now, minTTL):
		return s.creds, nil, nil
	case serving && c.scheduler.attempt == nil && (!s.repeated || c.scheduler.spacedUntil.Add(repeatSpacing).Reached(now)):
		c.scheduler.requested = true
	}
	c.demand(caller, true)
	s, a := c.state.Load(), c.scheduler.attempt
	stuck := a.isOverdue()
	switch giveUp := stuck || a == nil || waited; {
	case giveUp && s.failure != nil && (stuck || !s.starting()):
		c.reportCallerFailed(s)
		c.errorCount.Add(1)
		return aws.Credentials{}, nil, s.callerError()
	case giveUp && serving && s.repeated:
		return aws.Credentials{}, nil, fmt.Errorf("%w: less than MinTTL %v remains, and the source has not renewed them", ErrMinTTL, minTTL)
	default:
		return aws.Credentials{}, c.scheduler.changes(), nil
	}
}

// MinTTL returns a view of the Cache: a provider of the same credentials that returns them only
// if at least d remains until Expires. Use it for presigned URLs and EKS tokens, which expire
// with the credentials that signed them.
//
// The Cache refreshes early enough that callers of the view do not have to wait. If less than d
// remains nevertheless, the view's Retrieve waits for a refresh as it would with an empty Cache. If
// the source returns the same credentials again, or credentials that expire sooner, Retrieve
// returns an error that wraps [ErrMinTTL], and callers start at most one attempt a minute until the
// source renews its credentials.
//
// If d exceeds 60% of the lifetime of the served credentials, the view's Retrieve returns an error
// that wraps [ErrMinTTL], without requesting an attempt. A negative d is treated as 0; otherwise d
// is rounded up to whole seconds.
//
// The view keeps the Cache reachable, so background refresh continues until Close. It is safe
// for concurrent use.
func (c *Cache) MinTTL(d time.Duration) aws.CredentialsProvider {
	minTTL := (min(max(d, 0), math.MaxInt64/2) + time.Second - 1).Truncate(time.Second)
	v := &view{cache: c, minTTL: minTTL}
	runtime.AddCleanup(v, func(cache weak.Pointer[Cache]) {
		if c := cache.Value(); c != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.scheduler.minTTLs.Add(minTTL, -1)
		}
	}, weak.Make(c))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scheduler.minTTLs.Add(minTTL, 1)
	s, now := c.state.Load(), c.now()
	at := c.refreshAt(s)
	if s.repeated { // see withRepeated
		at = now.Add(schedule.RepeatedAfter(c.scheduler.minTTLs.UntilEnd(s.lifetime, s.until.Add(time.Second).Until(now))))
	}
	if at.Elapsed < s.refreshAt.Elapsed {
		next := *s
		next.refreshAt = at
		c.store(&next)
		c.advance(nil)
	}
	return v
}

// view is a Cache with a minimum TTL.
type view struct {
	cache  *Cache
	minTTL time.Duration
}

func (v *view) Retrieve(ctx context.Context) (aws.Credentials, error) {
	s := v.cache.state.Load()
	now := time.Now()
	if end := now.Add(v.minTTL); end.UnixNano() < s.fastWall && end.Before(s.fastElapsed) && v.minTTL <= schedule.MaxMinTTL(s.lifetime) {
		return s.creds, nil
	}
	if now := schedule.At(now, v.cache.base); !s.due.Reached(now) && !s.unused && s.serves(now, v.minTTL) {
		return s.creds, nil
	}
	creds, err := v.cache.wait(ctx, v.minTTL)
	if follower := v.cache.events.follower; err != nil && follower != nil {
		err = follower.Explain(ctx, err)
	}
	return creds, err
}

func (v *view) Format(f fmt.State, verb rune) { v.cache.Format(f, verb) }

// AdjustExpiresBy returns the credentials unchanged.
func (v *view) AdjustExpiresBy(creds aws.Credentials, _ time.Duration) (aws.Credentials, error) {
	return creds, nil
}

func (v *view) ProviderSources() []aws.CredentialSource { return v.cache.ProviderSources() }

func (v *view) IsCredentialsProvider(t aws.CredentialsProvider) bool {
	return v.cache.IsCredentialsProvider(t)
}
