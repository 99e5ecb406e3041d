package cache

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
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
	d = max(d, 0)
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state.Load()
	if d > c.plan.minTTL && !s.tooShort(d) {
		c.plan.minTTL = d
		c.hasten(s)
	}
	return &view{cache: c, minTTL: d}
}

// hasten draws the refresh of s anew where it would come too late for the views.
// c.mu is held.
func (c *Cache) hasten(s *snapshot) {
	if next := s.refreshWithin(c.plan.minTTL, rand.Float64()); next.refreshAt.Elapsed < s.refreshAt.Elapsed {
		c.store(next)
		c.advanceLocked()
	}
}

// view is a Cache seen through a least time that must be left.
type view struct {
	cache  *Cache
	minTTL time.Duration
}

func (v *view) Retrieve(ctx context.Context) (aws.Credentials, error) {
	s := v.cache.state.Load()
	now := v.cache.now()
	if s.due.Reached(now) || !s.serves(now, v.minTTL) || s.tooShort(v.minTTL) {
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
