package cache

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/schedule"
)

// snapshot is the whole state that a caller can see. It is never changed: what
// happens makes a new one.
type snapshot struct {
	calm  calm // until the first of until and due
	creds aws.Credentials
	until schedule.Moment // serving them ends; zero where there are none
	due   schedule.Moment // from here on a Retrieve gets the next attempt begun

	ends      time.Time // of the credentials, as the source returned it
	cached    bool      // the source returns them until it renews them
	drawn     float64   // the random number of refreshAt
	received  schedule.Moment
	life      time.Duration   // of the newest credentials, also when they are gone; 0 before any
	refreshAt schedule.Moment // while all goes well

	failures  int   // attempts that failed since the last that did not
	err       error // of the last attempt, or why the credentials are gone
	permanent bool  // err will not pass by itself

	unused bool // nobody has asked for the credentials yet, and that matters
	closed bool
}

// calm is the time in which credentials are served and no attempt is due. It ends when
// either clock says so, and is kept in the form in which that is cheapest to see,
// since every Retrieve looks.
type calm struct {
	wall    int64     // Unix nanoseconds
	elapsed time.Time // of which the monotonic reading counts
}

// A calm lasts at most so long, since time.Time cannot tell all of an int64.
const longestCalm = 100 * 365 * 24 * time.Hour

// store makes s the state.
func (c *Cache) store(s *snapshot) {
	end := schedule.First(s.until, s.due)
	if s.unused {
		end = schedule.Moment{} // the first Retrieve takes the long way
	}
	s.calm = calm{wall: end.Wall, elapsed: c.base.Add(min(end.Elapsed, longestCalm))}
	c.state.Store(s)
}

// fresh returns the state after a good attempt, at now, or an error where what it
// gave is of no use. The random number r, of [0, 1), spreads the end of serving.
func (s *snapshot) fresh(creds aws.Credentials, now schedule.Moment, r float64) (*snapshot, error) {
	if !creds.HasKeys() {
		return nil, errors.New("cache: the source returned credentials without keys")
	}
	next := &snapshot{creds: creds, ends: creds.Expires, drawn: rand.Float64(), received: now, until: schedule.Never(), due: schedule.Never(), refreshAt: schedule.Never()}
	if !creds.CanExpire {
		return next, nil
	}
	if creds.Expires.IsZero() {
		return nil, errNoExpiry
	}
	next.life = schedule.Lifetime(now, creds.Expires)
	if next.life < schedule.MinLifetime {
		return nil, errShortLife(next.life)
	}
	next.until = now.Add(next.life - schedule.Margin(next.life, r))
	next.creds.Expires = next.until.Time()
	return next, nil
}

// holds reports whether creds are those of s, with time left to use them.
func (s *snapshot) holds(creds aws.Credentials, now schedule.Moment) bool {
	return creds.HasKeys() && creds.CanExpire && creds.AccessKeyID == s.creds.AccessKeyID && creds.Expires.Equal(s.ends) &&
		s.end().Until(now) > 0
}

// end returns the end of the credentials, the margin included.
func (s *snapshot) end() schedule.Moment { return s.received.Add(s.life) }

// rounding is by how much the ends of two sessions of one duration can be out of order: STS
// and its Date header have whole seconds.
const rounding = 2 * time.Second

// endsBefore reports whether the credentials of s end sooner than those of other, which are
// still served.
func (s *snapshot) endsBefore(other *snapshot, now schedule.Moment) bool {
	return s.creds.CanExpire && other.creds.CanExpire && other.serves(now, 0) &&
		s.end().Until(now)+rounding < other.end().Until(now)
}

// again returns the state after the source returned the credentials of s once more, or some that
// end sooner. The former are served until a second before their end: the source has nothing
// better, and renews them when it does. The next attempt comes when half of the time has passed,
// a second later at the earliest, and the last one at their end.
func (s *snapshot) again(creds aws.Credentials, now schedule.Moment) *snapshot {
	next := *s
	next.failures, next.err, next.permanent, next.due = 0, nil, false, schedule.Never()
	next.cached = true
	if s.holds(creds, now) {
		next.until = s.end().Add(-time.Second)
		next.creds.Expires = next.until.Time()
	}
	left := s.end().Until(now)
	wait := max(left/2, time.Second)
	if left-wait < 2*time.Second { // no room for one more before the end
		wait = max(left, time.Second)
	}
	next.refreshAt = now.Add(wait)
	return &next
}

// reserve is subtracted from the lifetime of credentials from the SDK's own cache, so that they are
// refreshed at most 44 minutes into an hour and outlast an outage of 15 minutes.
const reserve = 11 * time.Minute

// refreshes returns the state with the time of the next refresh, so that what
// views need is always left. c.mu is held.
func (c *Cache) refreshes(s *snapshot) *snapshot {
	if !s.creds.CanExpire {
		return s
	}
	next := *s
	minTTL := c.plan.minTTLs.of(s.life)
	if _, ok := c.source.(*aws.CredentialsCache); ok {
		minTTL = max(minTTL, reserve)
	}
	next.refreshAt = s.received.Add(schedule.RefreshAfter(s.life, minTTL, s.drawn))
	if c.opts.Limiter != nil && s.life >= time.Minute {
		next.refreshAt = next.refreshAt.Add(-c.opts.Limiter.sinceBeat(c.base.Add(next.refreshAt.Elapsed)))
	}
	return &next
}

// failed returns the state after a failed attempt.
func (s *snapshot) failed(err error, permanent bool) *snapshot {
	next := *s
	next.failures++
	next.err, next.permanent, next.due = err, permanent, schedule.Never()
	return &next
}

// refused returns the state in which the credentials are gone, though they had
// time left.
func (s *snapshot) refused() *snapshot {
	next := *s
	next.creds, next.until, next.refreshAt = aws.Credentials{}, schedule.Moment{}, schedule.Never()
	next.cached = false // the attempt for others is due, not the source's next renewal
	if s.failures == 0 {
		next.err, next.permanent = ErrRefused, false
	}
	return &next
}

// waits returns the state in which the next attempt is due at that moment.
func (s *snapshot) waits(due schedule.Moment) *snapshot {
	next := *s
	next.due = due
	return &next
}

func (s *snapshot) close() *snapshot {
	return &snapshot{closed: true, due: schedule.Never(), err: ErrClosed, life: s.life}
}

// serves says whether at now there are credentials with so much time left.
func (s *snapshot) serves(now schedule.Moment, minTTL time.Duration) bool {
	return !s.until.Add(-minTTL).Reached(now)
}

// tooShort says that the credentials never live long enough for that much to be
// left.
func (s *snapshot) tooShort(minTTL time.Duration) bool {
	return s.life > 0 && minTTL > schedule.MaxMinTTL(s.life)
}

// left returns for how long, seen at now, the credentials will be served.
func (s *snapshot) left(now schedule.Moment) time.Duration {
	return max(s.until.Until(now), 0)
}

// starting says that there never were credentials and that it is too early to
// trouble a caller with it.
func (s *snapshot) starting() bool {
	return s.life == 0 && s.received == (schedule.Moment{}) && s.failures <= 2 && !s.permanent
}
