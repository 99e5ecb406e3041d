package bounded_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/examples/observability/bounded"
)

// request sends a request to handler. The returned channel receives the status.
func request(ctx context.Context, handler http.Handler) <-chan int {
	status := make(chan int, 1)
	go func() {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		status <- w.Code
	}()
	return status
}

func TestQueueLimitsConcurrencyAndAnswersAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handling, release := 0, make(chan struct{})
		queue := bounded.Queue(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			handling++
			<-release
		}), 2)
		var all []<-chan int
		for range 8 {
			all = append(all, request(t.Context(), queue))
			synctest.Wait()
		}
		assert.Equal(t, 2, handling)
		for _, status := range all { // in order of arrival
			synctest.Wait()
			release <- struct{}{}
			assert.Equal(t, http.StatusOK, <-status)
		}
		assert.Equal(t, len(all), handling)
	})
}

func TestQueueEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		queue := bounded.Queue(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }), 1)
		first := request(t.Context(), queue)
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		second := request(ctx, queue)
		cancel()
		assert.Equal(t, http.StatusServiceUnavailable, <-second)
		close(release)
		assert.Equal(t, http.StatusOK, <-first)
	})
}
