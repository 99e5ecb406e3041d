package irsa

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/exchange"
)

// A request can report a rejection at the very moment of Close.
func TestReporterDoesNotCallObserveAfterRelease(t *testing.T) {
	for range 50_000 {
		var released, late atomic.Bool
		r := &resources{client: &exchange.Client{}}
		r.observe = func(Event) { late.CompareAndSwap(false, released.Load()) }
		begin, watch := make(chan struct{}), make(chan struct{})
		close(watch)
		var running sync.WaitGroup
		running.Go(func() {
			<-begin
			r.event(func() Event { return Event{} })
		})
		running.Go(func() {
			<-begin
			_ = r.release(watch, time.Now().Add(time.Minute))
			released.Store(true)
		})
		close(begin)
		running.Wait()
		<-r.events.Idle()
		require.False(t, late.Load())
	}
}
