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

// MinTTL returns a view of the Cache: a provider of the same credentials that always have at least
// d left until their Expires. Use it for what must stay valid after it was signed, such as a
// presigned URL or an EKS token.
//
// The Cache refreshes early enough that callers of the view do not wait. If less than d is left
// nevertheless, Retrieve of the view waits for a refresh, as for an empty Cache: all callers share
// one attempt, which does not start before it is due after a failed one. A d above 60% of the
// lifetime of the credentials cannot be satisfied. Once that lifetime is known, Retrieve returns an
// error that wraps [ErrMinTTL] without a further attempt. A negative d counts as 0.
//
// The view keeps the Cache alive, which refreshes until it is closed. It is safe for concurrent
// use.
func (c *Cache) MinTTL(d time.Duration) aws.CredentialsProvider {
	d = min(max(d, 0), math.MaxInt64/2)
	v := &view{cache: c, minTTL: d}
	rounded := wholeSeconds(d)
	cache := weak.Make(c)
	runtime.AddCleanup(v, func(rounded time.Duration) {
		if c := cache.Value(); c != nil {
			c.removeMinTTL(rounded)
		}
	}, rounded)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.scheduler.minTTLs.add(rounded) {
		c.advanceRefresh()
	}
	return v
}

// advanceRefresh moves the next refresh forward if a view needs that. c.mu is held.
func (c *Cache) advanceRefresh() {
	s := c.state.Load()
	if next := c.withRefresh(s); !s.repeated && next.refreshAt.Elapsed < s.refreshAt.Elapsed {
		c.store(next)
		c.advanceLocked()
	}
}

func (c *Cache) removeMinTTL(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scheduler.minTTLs.remove(d)
}

// minTTLs counts the views by their minimum TTL. It is in whole seconds, so that there are no more
// entries than seconds in a lifetime.
type minTTLs map[time.Duration]int

// add adds a view and reports whether it is the first one with that minimum TTL.
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

// wholeSeconds rounds d up to whole seconds, and limits it to maxMinTTL.
func wholeSeconds(d time.Duration) time.Duration {
	return min((d + time.Second - 1).Truncate(time.Second), maxMinTTL)
}

// longest returns the longest minimum TTL that credentials with the given lifetime can satisfy. Views
// that require more get an error, and must not make callers of the others wait.
func (m minTTLs) longest(lifetime time.Duration) (d time.Duration) {
	most := schedule.MaxMinTTL(lifetime)
	for minTTL := range m {
		if minTTL < most+time.Second { // minTTL was rounded up
			d = max(d, min(minTTL, most))
		}
	}
	return d
}

// maxMinTTL is the maximum lifetime of an AWS session.
const maxMinTTL = 36 * time.Hour

// view is a Cache with a minimum TTL.
type view struct {
	cache  *Cache
	minTTL time.Duration
}

func (v *view) Retrieve(ctx context.Context) (aws.Credentials, error) {
	s := v.cache.state.Load()
	now := v.cache.now()
	if s.due.Reached(now) || s.firstUse || !s.serves(now, v.minTTL) || s.tooShort(v.minTTL) {
		return v.cache.wait(ctx, v.minTTL)
	}
	return s.creds, nil
}

// AdjustExpiresBy calls the method of the Cache.
func (v *view) AdjustExpiresBy(creds aws.Credentials, d time.Duration) (aws.Credentials, error) {
	return v.cache.AdjustExpiresBy(creds, d)
}

// ProviderSources calls the method of the Cache.
func (v *view) ProviderSources() []aws.CredentialSource { return v.cache.ProviderSources() }

// IsCredentialsProvider calls the method of the Cache.
func (v *view) IsCredentialsProvider(target aws.CredentialsProvider) bool {
	return v.cache.IsCredentialsProvider(target)
}
