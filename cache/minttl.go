package cache

import (
	"context"
	"math"
	"time"

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
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plan.minTTLs.add(d)
	s := c.state.Load()
	if next := c.refreshes(s); next.refreshAt.Elapsed < s.refreshAt.Elapsed {
		c.store(next)
		c.advanceLocked()
	}
	return &view{cache: c, minTTL: d}
}

// minTTLs are the times that views need to be left, in whole seconds, so that there
// are no more of them than a life has seconds.
type minTTLs map[time.Duration]struct{}

func (m *minTTLs) add(d time.Duration) {
	if *m == nil {
		*m = minTTLs{}
	}
	up := (d + time.Second - 1).Truncate(time.Second)
	(*m)[min(up, maxMinTTL)] = struct{}{}
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
