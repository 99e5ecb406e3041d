package cache

import (
	"errors"
	"fmt"
	"time"
)

// Errors that [Status.Healthy] returns, for use with errors.Is.
var (
	ErrEmpty   = errors.New("cache: there never were credentials")
	ErrFailing = errors.New("cache: refreshing fails")
	ErrExpired = errors.New("cache: there are no valid credentials any more")
)

// Healthy returns nil if there are valid credentials and the last attempt did not fail. Otherwise
// it returns an error that wraps the error of the last attempt, if that failed, and one of these:
//   - [ErrEmpty] if no credentials have been obtained yet
//   - [ErrFailing] if the credentials are still served; the text contains for how long
//   - [ErrExpired] if the credentials have expired or were withdrawn
//   - [ErrClosed] if the Cache is closed
//
// Without valid credentials the next attempt after a failed one starts only when a caller needs
// it. A readiness probe keeps other callers away while it fails, so it must call Retrieve itself,
// with a short timeout, before Healthy. It may treat ErrFailing as ready, because callers are not
// affected yet. A liveness probe should not use Healthy: a restart repairs none of these errors,
// and discards credentials that are still valid.
func (s Status) Healthy() error {
	switch {
	case s.State == Closed:
		return ErrClosed
	case s.State == Empty:
		return wrap(ErrEmpty, s.Err)
	case s.State == Expired:
		return wrap(ErrExpired, s.Err)
	case s.Err == nil:
		return nil
	case s.Expires.IsZero():
		return wrap(ErrFailing, s.Err)
	default:
		return fmt.Errorf("%w, the credentials are served for %v more: %w", ErrFailing, time.Until(s.Expires).Round(time.Second), s.Err)
	}
}

func wrap(reason, err error) error {
	if err == nil {
		return reason
	}
	return fmt.Errorf("%w: %w", reason, err)
}
