package cache_test

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/test/testsize"
)

// misbehavior describes how a tenant misbehaves.
type misbehavior struct {
	name    string
	tenant  string // "misbehaving" if empty
	source  func() aws.CredentialsProvider
	renewed bool // the tenant uses a new Cache for each call
}

var misbehaviors = []misbehavior{
	{name: "nothing"},
	{name: "hangs until its context ends", source: func() aws.CredentialsProvider { return &source{hung: true} }},
	{name: "ignores its context", source: func() aws.CredentialsProvider {
		return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			time.Sleep(time.Minute)
			return aws.Credentials{}, errBroken
		})
	}},
	{name: "hangs at each refresh", source: func() aws.CredentialsProvider {
		s := &source{lifetime: 2 * time.Minute, delay: healthyAttempt}
		time.AfterFunc(time.Minute, func() { s.setHung(true) })
		return s
	}},
	{name: "floods with new Caches", renewed: true, source: func() aws.CredentialsProvider {
		return &source{lifetime: time.Hour, delay: healthyAttempt}
	}},
	{name: "floods with new Caches that hang", renewed: true, source: func() aws.CredentialsProvider { return &source{hung: true} }},
	{name: "floods with new Caches that are slow", renewed: true, source: func() aws.CredentialsProvider {
		return &source{lifetime: time.Hour, delay: 9 * time.Second}
	}},
	{name: "is denied slowly", source: func() aws.CredentialsProvider {
		return &source{err: errDenied, delay: 9 * time.Second}
	}},
	{name: "is denied", source: func() aws.CredentialsProvider {
		return &source{err: errDenied, delay: healthyAttempt}
	}},
	{name: "is throttled", source: func() aws.CredentialsProvider {
		return &source{err: &smithy.GenericAPIError{Code: "Throttling"}, delay: healthyAttempt}
	}},
}

// misbehave runs callers of a tenant, more than there are slots, until ctx ends.
func (m misbehavior) misbehave(ctx context.Context, l *cache.Limiter, callers *sync.WaitGroup) {
	if m.source == nil {
		return
	}
	open := func() *cache.Cache {
		return cache.New(m.source(), quiet, withTenant(l, cmp.Or(m.tenant, "misbehaving")))
	}
	for range testsize.Choose(40, 100, 100) {
		callers.Go(func() {
			c := open()
			for ctx.Err() == nil {
				_, _ = c.Retrieve(ctx)
				time.Sleep(time.Second)
				if m.renewed {
					c.Close()
					c = open()
				}
			}
			c.Close()
			time.Sleep(time.Minute) // until sources that ignore their context have returned
		})
	}
}
