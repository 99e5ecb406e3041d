package cache

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/irsakit/irsakit/internal/awserror"
)

const (
	defaultAttemptTimeout = 10 * time.Second
	maxAttemptTimeout     = time.Hour
)

// Options configure a [Cache]. The zero value is suitable for AWS.
type Options struct {
	// AttemptTimeout limits one attempt: 10 s if it is 0 or less, and at most an hour. The context
	// of the source ends then. If the source has still not returned 0.1 s later, the attempt is
	// abandoned: it counts as failed and releases its slot of the Limiter. The Cache starts no other
	// attempt until the source has returned, and still uses a success that it returns late.
	AttemptTimeout time.Duration

	// Permanent reports whether an error of the source requires a configuration change rather than
	// a retry. Callers get such an error immediately, and with nothing to serve the backoff grows
	// to 30 s. A panic of Permanent counts as false, but should be avoided. Nil means every error
	// with a code from an AWS service, except those that the SDK would retry.
	Permanent func(error) bool

	// RetryAfter returns how long an error of the source asks to wait, 0 if it does not. The next
	// attempt starts no sooner. The wait is limited to the maximum backoff, and to the time until
	// the served credentials expire. RetryAfter must not panic. Nil means the X-Amz-Retry-After
	// header of the response in an SDK error.
	RetryAfter func(error) time.Duration

	// Limiter, if not nil, bounds how many attempts run at the same time in all Caches that share
	// it. AttemptTimeout does not include the wait for a slot.
	Limiter *Limiter

	// Tenant names the tenant on whose behalf the Cache makes attempts, because the slots of the
	// Limiter are fair between tenants. Caches of a Limiter with equal names belong to one tenant, and
	// so do those with the empty name. Without a Limiter it has no effect.
	Tenant string

	// MaxIdleLifetimes, if greater than 0, is the number of consecutive lifetimes without a call of
	// Retrieve after which the credentials are not refreshed in the background. The next Retrieve
	// resumes that. It returns credentials that are still valid, and waits otherwise.
	MaxIdleLifetimes int

	// Logger logs when refreshes start to fail, when callers start to get errors because there are
	// no valid credentials, and when refreshes have recovered. Nil means slog.Default() at the time
	// of the message. Messages contain no secrets, unless an error of the source does. A message is
	// lost if the handler panics.
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
