package cache

import (
	"context"
	"math"
	"runtime"
	"time"
	"weak"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/schedule"
)

// MinTTL returns a provider of the same credentials that always have at least d
// left until their Expires: for what must live on after it was signed, such as a
// presigned URL or an EKS token.
//
// The Cache then refreshes early enough that callers of the view do not wait. Where
// less than d is left all the same, its Retrieve waits for a refresh as callers of
// an empty Cache do: one for all of them, no sooner after a failed one than it is
// due. A d above 60 % of the life of the credentials cannot be kept; once that life
// is known, Retrieve returns an error that wraps [ErrMinTTL] without a further
// attempt. A negative d counts as 0.
//
// The view holds the Cache, which serves until it is closed. It is safe for
// concurrent use.
func (c *Cache) MinTTL(d time.Duration) aws.CredentialsProvider {
	d = min(max(d, 0), math.MaxInt64/2)
	v := &view{cache: c, minTTL: d}
	up := wholeSeconds(d)
	cache := weak.Make(c)
	runtime.AddCleanup(v, func(up time.Duration) {
		if c := cache.Value(); c != nil {
			c.forgetMinTTL(up)
		}
	}, up)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.plan.minTTLs.add(up) {
		c.hasten()
	}
	return v
}

// hasten moves the next refresh to an earlier time if a view needs that. c.mu is held.
func (c *Cache) hasten() {
	s := c.state.Load()
	if next := c.refreshes(s); !s.cached && next.refreshAt.Elapsed < s.refreshAt.Elapsed {
		c.store(next)
		c.advanceLocked()
	}
}

func (c *Cache) forgetMinTTL(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plan.minTTLs.remove(d)
}

// minTTLs counts the views by the time that they need to be left, in whole seconds, so that
// there are no more entries than a lifetime has seconds.
type minTTLs map[time.Duration]int

// add reports whether no other view needs as much.
func (m *minTTLs) add(d time.Duration) bool {
	if *m == nil {
		*m = minTTLs{}
	}
	(*m)[d]++
	return (*m)[d] == 1
}

func (m minTTLs) remove(d time.Duration) {
	if m[d]--; m[d] <= 0 {
		delete(m, d)
	}
}

// wholeSeconds rounds d up, and limits it to the longest lifetime of AWS.
func wholeSeconds(d time.Duration) time.Duration {
	return min((d + time.Second - 1).Truncate(time.Second), maxMinTTL)
}

// of returns the longest that credentials of that life can keep: a view that asks
// for more gets an error, and is no reason to let the others wait.
func (m minTTLs) of(life time.Duration) (longest time.Duration) {
	most := schedule.MaxMinTTL(life)
	for d := range m {
		if d < most+time.Second { // it was rounded up
			longest = max(longest, min(d, most))
		}
	}
	return longest
}

// No session of AWS lives longer than this.
const maxMinTTL = 36 * time.Hour

// view is a Cache seen through a least time that must be left.
type view struct {
	cache  *Cache
	minTTL time.Duration
}

func (v *view) Retrieve(ctx context.Context) (aws.Credentials, error) {
	s := v.cache.state.Load()
	now := v.cache.now()
	if s.due.Reached(now) || s.unused || !s.serves(now, v.minTTL) || s.tooShort(v.minTTL) {
		return v.cache.wait(ctx, v.minTTL)
	}
	return s.creds, nil
}

// AdjustExpiresBy is the Cache's.
func (v *view) AdjustExpiresBy(creds aws.Credentials, d time.Duration) (aws.Credentials, error) {
	return v.cache.AdjustExpiresBy(creds, d)
}

// ProviderSources is the Cache's.
func (v *view) ProviderSources() []aws.CredentialSource { return v.cache.ProviderSources() }

// IsCredentialsProvider is the Cache's.
func (v *view) IsCredentialsProvider(target aws.CredentialsProvider) bool {
	return v.cache.IsCredentialsProvider(target)
}
