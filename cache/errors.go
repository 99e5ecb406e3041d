package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/irsakit/irsakit/internal/schedule"
)

var (
	// ErrClosed is returned by the methods of a closed Cache.
	ErrClosed = errors.New("cache: closed")

	// ErrRejected is returned if the credentials were rejected by a service, or withdrawn, and there
	// are no new ones yet.
	ErrRejected = errors.New("cache: a service refused the credentials as expired")

	// ErrMinTTL is returned if credentials never live long enough for a view.
	ErrMinTTL = errors.New("cache: credentials do not live that long")
)

var (
	errNoExpiry       = errors.New("cache: the source returned credentials without an expiry: Expires must be set if CanExpire is")
	errSourceExited   = errors.New("cache: the source ended its goroutine (runtime.Goexit) instead of returning")
	errWithdrawnAgain = errors.New("cache: the source returned the credentials that a service has refused as expired")
	errSourceRuns     = errors.New("cache: closed, but the source has still not returned")
	errObserverRuns   = errors.New("cache: closed, but the observer has still not returned")
)

// Error is returned if there are no valid credentials. It contains the cause and the time of the
// next attempt.
type Error struct {
	Err         error     // error of the last attempt
	Failures    int       // number of consecutive failed attempts
	NextAttempt time.Time // zero if an attempt is running or the next caller starts it
}

// Error returns a text with the error of the last attempt and the time of the next one.
func (e *Error) Error() string {
	next := "next attempt now"
	if !e.NextAttempt.IsZero() {
		next = "next attempt at " + e.NextAttempt.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("cache: no new credentials (%d failed attempts, %s): %v", e.Failures, next, e.Err)
}

// Unwrap returns the error of the last attempt.
func (e *Error) Unwrap() error { return e.Err }

// callerError returns the error of the state for a caller, or nil if there is none.
func (s *snapshot) callerError() error {
	if s.err == nil || s.closed {
		return s.err
	}
	return &Error{Err: s.err, Failures: s.failures, NextAttempt: s.due.Time()}
}

// contextError returns the error for a caller whose context ended while it waited.
func (s *snapshot) contextError(ctx context.Context) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); !errors.Is(cause, err) {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	if s.err == nil {
		return fmt.Errorf("cache: waiting for credentials: %w", err)
	}
	return fmt.Errorf("cache: waiting for credentials: %w; the last attempt failed: %w", err, s.err)
}

func errPanic(r any) error {
	if err, ok := r.(error); ok {
		return fmt.Errorf("cache: the source panicked: %w", err)
	}
	return fmt.Errorf("cache: the source panicked: %v", r)
}

func errShortLifetime(lifetime time.Duration) error {
	if lifetime <= 0 {
		return fmt.Errorf("cache: the source returned credentials that expired %v ago: check the clocks", lifetime.Abs())
	}
	return fmt.Errorf("cache: the source returned credentials that live for %v only", lifetime)
}

func errMinTTL(minTTL, lifetime time.Duration) error {
	return fmt.Errorf("%w: %v must be left, of a life of %v at most %v can: ask for less, or for a longer session duration",
		ErrMinTTL, minTTL, lifetime.Truncate(time.Second), schedule.MaxMinTTL(lifetime).Truncate(time.Second))
}
