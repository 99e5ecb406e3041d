package cache_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

func allPermanent(o *cache.Options) { o.Permanent = func(error) bool { return true } }

func TestOptionsPermanentDefault(t *testing.T) {
	for _, tt := range []struct {
		name      string
		err       error
		permanent bool
	}{
		{"a plain error", errBroken, false},
		{"access denied", &smithy.GenericAPIError{Code: "AccessDenied"}, true},
		{"a validation error", &smithy.GenericAPIError{Code: "ValidationError"}, true},
		{"throttled", &smithy.GenericAPIError{Code: "Throttling"}, false},
		{"a timeout", &smithy.GenericAPIError{Code: "RequestTimeout"}, false},
		{"identity provider did not respond", &smithy.GenericAPIError{Code: "IDPCommunicationError"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{lifetime: time.Hour, err: tt.err}
				c := newCache(t, s)
				_, err := c.Retrieve(t.Context())
				require.ErrorIs(t, err, tt.err)
				want := 3 // the first caller waits through two temporary failures
				if tt.permanent {
					want = 1
				}
				assert.Equal(t, want, s.count())
			})
		})
	}
}

func TestOptionsPermanentMayPanicOrUseCache(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(*cache.Cache)
	}{
		{"panics", func(*cache.Cache) { panic("oops") }},
		{"ends its goroutine", func(*cache.Cache) { runtime.Goexit() }},
		{"uses the cache", func(c *cache.Cache) { c.Wake(); c.Invalidate(keys(1, time.Hour)); c.MinTTL(time.Minute) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{lifetime: time.Hour, err: errBroken}
				var c *cache.Cache
				c = newCache(t, s, func(o *cache.Options) {
					o.Permanent = func(error) bool { tt.run(c); return false }
				})
				require.ErrorIs(t, c.Refresh(t.Context()), errBroken)
				s.setError(nil)
				retrieve(t, c)
			})
		})
	}
}

func TestOptionsPermanentMayPanicOrExitAfterTimeout(t *testing.T) {
	for name, run := range map[string]func(){"panics": func() { panic("oops") }, "ends its goroutine": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := cache.NewLimiter(1)
				returns := make(chan struct{})
				c := newCache(t, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					<-returns
					return keys(1, time.Hour), nil
				}), func(o *cache.Options) {
					o.Limiter, o.Permanent = l, func(error) bool { run(); return false }
				})
				defer close(returns)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var failed *cache.Error
				require.ErrorAs(t, c.Refresh(ctx), &failed)
				synctest.Wait() // the slot is released after callers have the error
				assert.Zero(t, l.Status().Running)
			})
		})
	}
}
