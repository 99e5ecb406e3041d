package cache_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

// throttled returns an error like those of SDK clients.
func throttled(header string) error {
	response := &smithyhttp.Response{Response: &http.Response{Header: http.Header{"X-Amz-Retry-After": {header}}}}
	return fmt.Errorf("operation error: %w", &smithyhttp.ResponseError{Response: response, Err: errBroken})
}

func TestOptionsRetryAfter(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		option func(error) time.Duration
		least  time.Duration
	}{
		"an error of the SDK":         {err: throttled("3000"), least: 3 * time.Second},
		"another error":               {err: errBroken, least: 200 * time.Millisecond},
		"an error without a response": {err: &smithyhttp.ResponseError{Err: errBroken}, least: 200 * time.Millisecond},
		"an option":                   {err: errBroken, option: func(error) time.Duration { return 2 * time.Second }, least: 2 * time.Second},
		"option panics":               {err: errBroken, option: func(error) time.Duration { panic("no") }, least: 200 * time.Millisecond},
		"option requests a week":      {err: errBroken, option: func(error) time.Duration { return 7 * 24 * time.Hour }, least: 48 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{lifetime: time.Hour}
				c := newCache(t, s, func(o *cache.Options) { o.RetryAfter = tt.option })
				retrieve(t, c)
				s.setError(tt.err)
				require.Error(t, c.Refresh(t.Context()))
				calls := s.count()
				time.Sleep(tt.least - time.Millisecond)
				assert.Equal(t, calls, s.count())
				time.Sleep(tt.least/4 + time.Millisecond)
				synctest.Wait()
				assert.Equal(t, calls+1, s.count())
			})
		})
	}
}
