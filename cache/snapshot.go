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
// gave is of no use.
func (s *snapshot) fresh(creds aws.Credentials, now schedule.Moment) (*snapshot, error) {
	if !creds.HasKeys() {
		return nil, errors.New("cache: the source returned credentials without keys")
	}
	next := &snapshot{creds: creds, received: now, until: schedule.Never(), due: schedule.Never(), refreshAt: schedule.Never()}
	if !creds.CanExpire {
		return next, nil
	}
	next.life = schedule.Life(now, creds.Expires)
	if next.life < schedule.MinLife {
		return nil, errShortLife(next.life)
	}
	next.until = now.Add(next.life - schedule.Margin(next.life))
	next.creds.Expires = next.until.Time()
	return next, nil
}

// refreshes returns the state with the moment of the next refresh drawn, so that what
// views need is always left. c.mu is held.
func (c *Cache) refreshes(s *snapshot) *snapshot {
	if !s.creds.CanExpire {
		return s
	}
	next := *s
	next.refreshAt = s.received.Add(schedule.RefreshAfter(s.life, c.plan.minTTLs.of(s.life), rand.Float64()))
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
