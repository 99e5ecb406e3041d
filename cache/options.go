package cache

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/irsakit/irsakit/internal/awserror"
)

const defaultAttemptTimeout, maxAttemptTimeout = 10 * time.Second, time.Hour

// Options configure a [Cache]. The zero value is suitable for AWS.
type Options struct {
	// AttemptTimeout is the timeout of one attempt, after which the context of the source is done.
	// The default, for values of 0 or less, is 10 s; the maximum is one hour. If the source has
	// still not returned 0.1 s later, the attempt is abandoned: it counts as failed and releases its
	// slot of the Limiter. No other attempt starts until the source has returned. A late success is
	// still used.
	AttemptTimeout time.Duration

	// Permanent reports whether an error of the source requires a configuration change rather than
	// a retry. Callers get such an error immediately, and without valid credentials the backoff
	// grows to 30 s. If Permanent panics, the error counts as temporary. Nil means every error
	// with a code from an AWS service, except those that the SDK would retry.
	Permanent func(error) bool

	// RetryAfter returns the delay that an error of the source requests, or 0. The next attempt
	// does not start before it has passed. The wait is limited to the maximum backoff, and to the time until the
	// served credentials expire. RetryAfter must not panic. Nil means the X-Amz-Retry-After
	// header of the response in an SDK error.
	RetryAfter func(error) time.Duration

	// Limiter, if not nil, bounds how many attempts run at the same time in all Caches that share
	// it. AttemptTimeout does not include the wait for a slot.
	Limiter *Limiter

	// Tenant is the name of the tenant that the Cache belongs to. A Limiter shares its slots
	// fairly between tenants. Caches with the same name, including the empty name, belong to the
	// same tenant. Without a Limiter it has no effect.
	Tenant string

	// MaxIdleLifetimes, if positive, is the number of consecutive unused lifetimes after which
	// background refresh stops. The next Retrieve resumes it, and waits only if the credentials
	// have expired.
	MaxIdleLifetimes int

	// Logger receives a message when refresh starts to fail, when callers start to get errors
	// because there are no valid credentials, and when refresh recovers. Nil means slog.Default()
	// at the time of the message. Messages contain no secrets, unless an error of the source does.
	// A message is lost if the handler panics.
	Logger *slog.Logger

	// Observe, if not nil, is called after each attempt and after credentials were withdrawn. It
	// gets one event at a time, in order, in a separate goroutine that delays no caller and no
	// attempt. If it blocks, the newest 64 pending events are kept. A panic in it is logged.
	Observe func(Event)
}

func (o *Options) setDefaults() {
	o.AttemptTimeout = min(cmp.Or(max(o.AttemptTimeout, 0), defaultAttemptTimeout), maxAttemptTimeout)
	o.Limiter = cmp.Or(o.Limiter, new(Limiter))
	if o.Permanent == nil {
		o.Permanent = awserror.Permanent
	}
	if o.RetryAfter == nil {
		o.RetryAfter = awserror.RetryAfter
	}
}
