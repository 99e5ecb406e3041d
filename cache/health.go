package cache

import (
	"errors"
	"fmt"
	"time"
)

// Why [Status.Healthy] returns an error, for errors.Is.
var (
	ErrEmpty   = errors.New("cache: there never were credentials")
	ErrFailing = errors.New("cache: refreshing fails")
	ErrExpired = errors.New("cache: there are no valid credentials any more")
)

// Healthy returns nil where credentials are served and the last attempt to replace them
// did not fail. Otherwise its error wraps the last attempt's, if one failed, and
//   - [ErrEmpty], where there never were credentials,
//   - [ErrFailing], where they are still served, and says for how long,
//   - [ErrExpired], where they have ended or were refused, or
//   - [ErrClosed].
//
// Where nothing is served and an attempt has failed, the next one begins when somebody
// asks. A probe for readiness that keeps all others away has to ask itself: it calls
// Retrieve, with a short limit, and then Healthy. It may take a Status that is ErrFailing
// for ready: callers notice nothing yet. None of these is mended by a restart, which would
// throw away what is still valid, so a probe for liveness has no use for them.
func (s Status) Healthy() error {
	switch {
	case s.State == Closed:
		return ErrClosed
	case s.State == Empty:
		return because(ErrEmpty, s.Err)
	case s.State == Expired:
		return because(ErrExpired, s.Err)
	case s.Err == nil:
		return nil
	case s.Expires.IsZero():
		return because(ErrFailing, s.Err)
	default:
		return fmt.Errorf("%w, the credentials are served for %v more: %w", ErrFailing, time.Until(s.Expires).Round(time.Second), s.Err)
	}
}

func because(reason, err error) error {
	if err == nil {
		return reason
	}
	return fmt.Errorf("%w: %w", reason, err)
}
