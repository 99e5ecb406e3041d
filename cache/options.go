package cache

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/irsakit/irsakit/internal/awserror"
)

const defaultAttemptTimeout, maxAttemptTimeout = 10 * time.Second, time.Hour

// Options configures a [Cache]. The zero value is suitable for AWS.
type Options struct {
	// AttemptTimeout is the timeout for each attempt. If it is not positive, a timeout of 10 s is
	// used; the maximum is one hour.
	//
	// When the timeout expires, the context of the source is done. If the source has still not
	// returned 0.1 s later, the attempt is abandoned: it counts as failed and releases its Limiter
	// slot. No other attempt starts until the source returns, but a late success is still used.
	AttemptTimeout time.Duration

	// Permanent reports whether an error from the source requires a configuration change rather than
	// a retry. Callers get such an error immediately, and the backoff grows to 30 s while there are
	// no valid credentials. If Permanent panics, the error counts as temporary. If Permanent is nil,
	// every error with an AWS service error code is permanent, unless the SDK would retry it.
	Permanent func(error) bool

	// RetryAfter returns the delay requested by an error from the source, or 0. The next attempt
	// does not start until it has passed, but the delay is capped at the maximum backoff and at the
	// time until the served credentials expire. RetryAfter must not panic. If RetryAfter is nil,
	// the delay is taken from the X-Amz-Retry-After header of the response in an SDK error.
	RetryAfter func(error) time.Duration

	// Limiter bounds the number of concurrent attempts across all Caches that share it. If nil,
	// attempts are not limited. AttemptTimeout does not include the wait for a slot.
	Limiter *Limiter

	// Tenant names the tenant that the Cache belongs to. A Limiter shares its slots fairly between
	// tenants; without a Limiter, Tenant has no effect. Caches with the same name, even an empty
	// one, belong to the same tenant.
	Tenant string

	// MaxIdleLifetimes is the number of consecutive unused credential lifetimes after which
	// background refresh stops. The next Retrieve resumes it, and waits only if the credentials have
	// expired. A zero or negative value means no limit.
	MaxIdleLifetimes int

	// Logger receives a message when refresh starts to fail, when callers start to get errors because
	// there are no valid credentials, and when refresh recovers. If Logger is nil, slog.Default() is
	// called for each message. Messages contain no secrets unless an error from the source does. If
	// the handler panics, the message is lost.
	Logger *slog.Logger

	// Observe, if non-nil, is called after each attempt and each time credentials are withdrawn. It
	// is not called if an attempt changed nothing because the source returned the served
	// credentials again, or others that expire sooner.
	//
	// Calls are made one at a time and in order, in a separate goroutine, so a slow Observe does
	// not delay callers or attempts. If it blocks, only the newest 64 pending events are kept.
	// Panics are logged.
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
