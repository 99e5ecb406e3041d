package cache

import (
	"errors"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/schedule"
)

// phase is the time-independent part of the state. Whether obtained credentials are fresh, stale or
// expired also depends on the clocks (see stateAt).
type phase uint8

const (
	empty     phase = iota // no credentials obtained yet
	obtained               // the source has returned credentials
	withdrawn              // Invalidate has withdrawn them
	closed                 // the Cache is closed
)

// forever is the lifetime used for credentials that never expire.
const forever time.Duration = math.MaxInt64

// snapshot is the complete state visible to callers. It is immutable: each change stores a new
// snapshot. Moments that do not apply are [schedule.Never].
type snapshot struct {
	// When the fast path ends on each clock, in a form that is cheap to compare.
	fastWall    int64     // Unix nanoseconds
	fastElapsed time.Time // compared by its monotonic reading

	creds aws.Credentials
	due   schedule.Moment // when a Retrieve may start the next attempt

	// The newest credentials. After withdrawal, all fields but until and refreshAt keep their values.
	received      schedule.Moment
	lifetime      time.Duration
	until         schedule.Moment // end of serving; zero if there are no credentials to serve
	refreshAt     schedule.Moment // scheduled refresh
	refreshJitter float64         // random number that determines refreshAt
	sourceExpires int64           // expiry returned by the source, in Unix nanoseconds

	failures int // number of failed attempts since the last success

	// failure is the error that callers get while there are no valid credentials, or nil. It wraps
	// the error of the last attempt if failures > 0, otherwise ErrRejected.
	failure *Error

	phase     phase
	repeated  bool // the source returned the same credentials again, and will until it renews them
	unused    bool // the first use of the credentials has yet to be recorded
	permanent bool // the error of the last attempt requires a configuration change
}

// newSnapshot returns the state of a Cache without credentials.
func newSnapshot(p phase) *snapshot {
	never := schedule.Never()
	return &snapshot{phase: p, due: never, received: never, refreshAt: never}
}

// maxFastPath bounds fastElapsed, because a time.Time cannot represent every int64 number of
// nanoseconds.
const maxFastPath = 100 * 365 * 24 * time.Hour

// store makes s the current state.
func (c *Cache) store(s *snapshot) {
	s.fastWall, s.fastElapsed = 0, c.base
	if !s.unused {
		end := schedule.First(s.until, s.due)
		s.fastWall, s.fastElapsed = end.Wall, c.base.Add(min(end.Elapsed, maxFastPath))
	}
	c.state.Store(s)
}

// obtain returns the state after the source returned creds, or an error if they are unusable. random
// returns random numbers in [0, 1) for the margin and the time of the refresh.
func obtain(creds aws.Credentials, now schedule.Moment, random func() float64) (*snapshot, error) {
	switch {
	case !creds.HasKeys():
		return nil, errors.New("cache: the source returned credentials without keys")
	case creds.CanExpire && creds.Expires.IsZero():
		return nil, errors.New("cache: the source returned credentials without an expiry: Expires must be set if CanExpire is")
	}
	next := newSnapshot(obtained)
	next.creds, next.sourceExpires, next.refreshJitter = creds, creds.Expires.UnixNano(), random()
	next.received, next.lifetime, next.until = now, forever, schedule.Never()
	if !creds.CanExpire {
		return next, nil
	}
	next.lifetime = schedule.Lifetime(now, creds.Expires)
	if next.lifetime < schedule.MinLifetime {
		return nil, errShortLifetime(next.lifetime)
	}
	next.until = now.Add(next.lifetime - schedule.Margin(next.lifetime, random()))
	next.creds.Expires = next.until.Time()
	return next, nil
}

// contains reports whether creds are the obtained credentials.
func (s *snapshot) contains(creds aws.Credentials) bool {
	return s.phase == obtained && creds.HasKeys() && creds.CanExpire && creds.AccessKeyID == s.creds.AccessKeyID &&
		creds.Expires.UnixNano() == s.sourceExpires
}

// expiry returns when the credentials expire. Serving ends earlier, by the margin.
func (s *snapshot) expiry() schedule.Moment { return s.received.Add(s.lifetime) }

// rounding is the tolerance for comparing the expiries of two sessions with the same duration.
// Expirations and Date headers from STS have a resolution of one second.
const rounding = 2 * time.Second

// expiresBefore reports whether the credentials of s expire before those of other. It returns false
// if other is no longer served or has the same access key, because a source can correct the expiry
// of its credentials.
func (s *snapshot) expiresBefore(other *snapshot, now schedule.Moment) bool {
	return s.creds.CanExpire && other.creds.CanExpire && s.creds.AccessKeyID != other.creds.AccessKeyID && other.serves(now, 0) &&
		s.expiry().Until(now)+rounding < other.expiry().Until(now)
}

// withRepeated returns the state after the source returned the credentials of s again, or
// credentials that expire sooner. If they are the same, the source has nothing that lasts longer,
// so they are served until one second before they expire, and the next attempt is scheduled
// relative to their expiry. Otherwise, it is scheduled relative to the end of serving. The minimum
// TTLs of views move it earlier.
func (s *snapshot) withRepeated(creds aws.Credentials, now schedule.Moment, views schedule.MinTTLs) *snapshot {
	next := *s
	next.failures, next.failure, next.permanent, next.due = 0, nil, false, schedule.Never()
	next.repeated = true
	end := s.until
	if s.contains(creds) {
		end = s.expiry()
		next.until = end.Add(-time.Second)
		next.creds.Expires = next.until.Time()
	}
	next.refreshAt = now.Add(schedule.RepeatedAfter(views.UntilEnd(s.lifetime, end.Until(now))))
	return &next
}

// sdkCacheMinTTL is the minimum TTL for credentials from the SDK's own cache. With a lifetime of an
// hour, they are refreshed after at most 44 minutes, and so outlast an outage of 15 minutes.
const sdkCacheMinTTL = 11 * time.Minute

// refreshAt returns when to refresh the credentials of s, early enough for the minimum TTLs of all
// views. c.mu must be held.
func (c *Cache) refreshAt(s *snapshot) schedule.Moment {
	if !s.creds.CanExpire {
		return schedule.Never()
	}
	minTTL := c.scheduler.minTTLs.Longest(s.lifetime, s.lifetime)
	if _, ok := c.source.(*aws.CredentialsCache); ok {
		minTTL = max(minTTL, sdkCacheMinTTL)
	}
	at := s.received.Add(schedule.RefreshAfter(s.lifetime, minTTL, s.refreshJitter))
	if pool := c.slots(); pool != nil && s.lifetime >= time.Minute {
		at = at.Add(-pool.SinceBatch(c.base.Add(at.Elapsed)))
	}
	return at
}

// withFailure returns the state after a failed attempt.
func (s *snapshot) withFailure(err error, permanent bool) *snapshot {
	next := *s
	next.failures++
	next.permanent, next.due = permanent, schedule.Never()
	next.setFailure(err)
	return &next
}

// setFailure sets the error that callers get in this state.
func (s *snapshot) setFailure(err error) {
	s.failure = &Error{Err: err, Failures: s.failures, NextAttempt: s.due.Time()}
}

// asWithdrawn returns the state after the credentials were withdrawn before they expired.
func (s *snapshot) asWithdrawn() *snapshot {
	next := *s
	next.phase, next.creds = withdrawn, aws.Credentials{}
	next.until, next.refreshAt = schedule.Moment{}, schedule.Never()
	next.repeated = false // the next attempt must not wait for the source to renew the withdrawn credentials
	if next.failure == nil {
		next.setFailure(ErrRejected)
	}
	return &next
}

// storeDue stores when the next attempt is due. c.mu must be held.
func (c *Cache) storeDue(due schedule.Moment) {
	if s := c.state.Load(); s.due != due {
		next := *s
		next.setDue(due)
		c.store(&next)
	}
}

// setDue sets when the next attempt is due. It must be called before s is stored.
func (s *snapshot) setDue(due schedule.Moment) {
	s.due = due
	if s.failure != nil {
		s.setFailure(s.failure.Err)
	}
}

// serves reports whether there are credentials that are served for at least minTTL after now. It
// returns false if minTTL is too long for their lifetime.
func (s *snapshot) serves(now schedule.Moment, minTTL time.Duration) bool {
	return !s.until.Add(-minTTL).Reached(now) && minTTL <= schedule.MaxMinTTL(s.lifetime)
}

// starting reports whether callers should keep waiting after a failure. If there have never been
// credentials, they wait through the first two failures, unless these are permanent.
func (s *snapshot) starting() bool { return s.phase == empty && s.failures <= 2 && !s.permanent }
