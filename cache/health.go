package cache

import (
	"errors"
	"fmt"
	"time"
)

// Healthy returns nil if there are valid credentials and the last attempt did not fail. Otherwise
// it returns an error that wraps s.Err, if that is set. s.State tells the cases apart:
//   - [Empty] if no credentials have been obtained yet
//   - [Stale] if refresh is failing; the credentials are still served, and the text contains for how long
//   - [Expired] if the credentials have expired or were withdrawn
//   - [Closed] if the Cache is closed; the error is [ErrClosed]
//
// Without valid credentials the next attempt after a failed one starts only when a caller needs
// it. A readiness probe keeps other callers away while it fails, so it must call Retrieve itself,
// with a short timeout, before Healthy. It may treat Stale as ready, because callers are not
// affected yet. A liveness probe should not use Healthy: a restart repairs none of these errors,
// and discards credentials that are still valid.
func (s Status) Healthy() error {
	var reason string
	switch {
	case s.State == Closed:
		return ErrClosed
	case s.State == Empty:
		reason = "cache: there never were credentials"
	case s.State == Expired:
		reason = "cache: there are no valid credentials any more"
	case s.Err == nil:
		return nil
	case s.Expires.IsZero():
		reason = "cache: refreshing fails"
	default:
		reason = fmt.Sprintf("cache: refreshing fails, the credentials are served for %v more", time.Until(s.Expires).Round(time.Second))
	}
	if s.Err == nil {
		return errors.New(reason)
	}
	return fmt.Errorf("%s: %w", reason, s.Err)
}
