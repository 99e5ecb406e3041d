package cache

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/schedule"
)

// snapshot is the complete state that callers can see. It is immutable: each change stores a new
// snapshot.
type snapshot struct {
	fastUntil clockReadings // end of the fast path, on either clock: the earlier of until and due
	creds     aws.Credentials
	until     schedule.Moment // end of serving; zero if there are no credentials
	due       schedule.Moment // from then on a Retrieve starts the next attempt

	sourceExpires time.Time // expiry of the credentials as the source returned it
	repeated      bool      // the source has returned them again, and will do so until it renews them
	refreshJitter float64   // random number that determines refreshAt
	received      schedule.Moment
	lifetime      time.Duration   // lifetime of the last credentials, kept after they are gone; 0 before the first
	refreshAt     schedule.Moment // scheduled refresh

	failures  int   // number of consecutive failed attempts
	err       error // error of the last attempt, or why the credentials are gone
	permanent bool  // err requires a configuration change

	firstUse bool // the first use of the credentials has yet to be recorded
	closed   bool
}

// clockReadings is a moment on both clocks, in the form that is the cheapest to compare, since every
// Retrieve does.
type clockReadings struct {
	wall    int64     // Unix nanoseconds
	elapsed time.Time // its monotonic reading is used
}

// maxFastPath bounds the elapsed time of fastUntil, because time.Time cannot represent every int64
// of nanoseconds.
const maxFastPath = 100 * 365 * 24 * time.Hour

// store makes s the current state.
func (c *Cache) store(s *snapshot) {
	end := schedule.First(s.until, s.due)
	if s.firstUse {
		end = schedule.Moment{} // the first Retrieve takes the slow path
	}
	s.fastUntil = clockReadings{wall: end.Wall, elapsed: c.base.Add(min(end.Elapsed, maxFastPath))}
	c.state.Store(s)
}

// withCredentials returns the state after a successful attempt at now, or an error if its
// credentials are unusable. r is a random number in [0, 1) that determines the margin.
func (s *snapshot) withCredentials(creds aws.Credentials, now schedule.Moment, r float64) (*snapshot, error) {
	if !creds.HasKeys() {
		return nil, errors.New("cache: the source returned credentials without keys")
	}
	next := &snapshot{creds: creds, sourceExpires: creds.Expires, refreshJitter: rand.Float64(), received: now, until: schedule.Never(), due: schedule.Never(), refreshAt: schedule.Never()}
	if !creds.CanExpire {
		return next, nil
	}
	if creds.Expires.IsZero() {
		return nil, errNoExpiry
	}
	next.lifetime = schedule.Lifetime(now, creds.Expires)
	if next.lifetime < schedule.MinLifetime {
		return nil, errShortLifetime(next.lifetime)
	}
	next.until = now.Add(next.lifetime - schedule.Margin(next.lifetime, r))
	next.creds.Expires = next.until.Time()
	return next, nil
}

// matches reports whether creds are those of s and have not expired.
func (s *snapshot) matches(creds aws.Credentials, now schedule.Moment) bool {
	return creds.HasKeys() && creds.CanExpire && creds.AccessKeyID == s.creds.AccessKeyID && creds.Expires.Equal(s.sourceExpires) &&
		s.expiry().Until(now) > 0
}

// expiry returns when the credentials expire, which is later than the end of serving by the margin.
func (s *snapshot) expiry() schedule.Moment { return s.received.Add(s.lifetime) }

// rounding is the tolerance when the expiries of two sessions with the same duration are compared.
// STS and its Date header have a resolution of one second.
const rounding = 2 * time.Second

// expiresBefore reports whether the credentials of s expire before those of other, which are still
// served.
func (s *snapshot) expiresBefore(other *snapshot, now schedule.Moment) bool {
	return s.creds.CanExpire && other.creds.CanExpire && other.serves(now, 0) &&
		s.expiry().Until(now)+rounding < other.expiry().Until(now)
}

// withRepeated returns the state after the source returned the credentials of s again, or others that
// expire sooner. In the first case serving ends one second before they expire: the source has no
// better ones, and will renew them itself. The next attempt starts after half of the remaining
// time, but not within a second. The last one starts when the credentials expire.
func (s *snapshot) withRepeated(creds aws.Credentials, now schedule.Moment) *snapshot {
	next := *s
	next.failures, next.err, next.permanent, next.due = 0, nil, false, schedule.Never()
	next.repeated = true
	if s.matches(creds, now) {
		next.until = s.expiry().Add(-time.Second)
		next.creds.Expires = next.until.Time()
	}
	left := s.expiry().Until(now)
	wait := max(left/2, time.Second)
	if left-wait < 2*time.Second { // too short for another attempt before the expiry
		wait = max(left, time.Second)
	}
	next.refreshAt = now.Add(wait)
	return &next
}

// sdkCacheMinTTL is the minimum TTL for credentials from the SDK's own cache. They are refreshed at
// most 44 minutes into an hour and so outlast an outage of 15 minutes.
const sdkCacheMinTTL = 11 * time.Minute

// withRefresh returns the state with the time of the scheduled refresh, which respects the minimum
// TTLs of views. c.mu is held.
func (c *Cache) withRefresh(s *snapshot) *snapshot {
	if !s.creds.CanExpire {
		return s
	}
	next := *s
	minTTL := c.scheduler.minTTLs.longest(s.lifetime)
	if _, ok := c.source.(*aws.CredentialsCache); ok {
		minTTL = max(minTTL, sdkCacheMinTTL)
	}
	next.refreshAt = s.received.Add(schedule.RefreshAfter(s.lifetime, minTTL, s.refreshJitter))
	if c.opts.Limiter != nil && s.lifetime >= time.Minute {
		next.refreshAt = next.refreshAt.Add(-c.opts.Limiter.sinceBatch(c.base.Add(next.refreshAt.Elapsed)))
	}
	return &next
}

// withFailure returns the state after a failed attempt.
func (s *snapshot) withFailure(err error, permanent bool) *snapshot {
	next := *s
	next.failures++
	next.err, next.permanent, next.due = err, permanent, schedule.Never()
	return &next
}

// withoutCredentials returns the state after credentials were withdrawn before their expiry.
func (s *snapshot) withoutCredentials() *snapshot {
	next := *s
	next.creds, next.until, next.refreshAt = aws.Credentials{}, schedule.Moment{}, schedule.Never()
	next.repeated = false // an attempt for others is due, not the next renewal by the source
	if s.failures == 0 {
		next.err, next.permanent = ErrRejected, false
	}
	return &next
}

// withDue returns the state in which the next attempt is due at the given moment.
func (s *snapshot) withDue(due schedule.Moment) *snapshot {
	next := *s
	next.due = due
	return &next
}

func (s *snapshot) asClosed() *snapshot {
	return &snapshot{closed: true, due: schedule.Never(), err: ErrClosed, lifetime: s.lifetime}
}

// serves reports whether there are credentials to serve for at least minTTL after now.
func (s *snapshot) serves(now schedule.Moment, minTTL time.Duration) bool {
	return !s.until.Add(-minTTL).Reached(now)
}

// tooShort reports whether the credentials never live long enough for minTTL.
func (s *snapshot) tooShort(minTTL time.Duration) bool {
	return s.lifetime > 0 && minTTL > schedule.MaxMinTTL(s.lifetime)
}

// remaining returns how long the credentials will be served after now.
func (s *snapshot) remaining(now schedule.Moment) time.Duration {
	return max(s.until.Until(now), 0)
}

// starting reports whether there have never been credentials and it is too early to return an error
// to callers.
func (s *snapshot) starting() bool {
	return s.lifetime == 0 && s.received == (schedule.Moment{}) && s.failures <= 2 && !s.permanent
}
