package irsa

import (
	"errors"
	"time"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/exchange"
)

// resources contains what a Provider shares with its derived Providers, or with all
// Providers of its Pool.
type resources struct {
	reporter
	client *exchange.Client
	watch  watch
}

// newResources returns resources with at most conns connections. pending bounds the queues of log
// messages and of events; 0 means the default.
func newResources(c *config.Config, o *Options, conns, pending int) *resources {
	r := &resources{client: exchange.NewClient(c, conns)}
	r.logger, r.observe, r.lines.Capacity, r.events.Capacity = o.Logger, o.Observe, pending, pending
	return r
}

// release releases the resources. It waits until watch is closed and all log messages and events are
// delivered, or until the deadline. It returns an error if a read of the token file or user code
// supplied in Options has not returned by then.
func (r *resources) release(watch <-chan struct{}, deadline time.Time) error {
	defer r.client.CloseIdleConnections()
	r.closed.Store(true)
	r.events.Close()
	limit := time.NewTimer(time.Until(deadline))
	defer limit.Stop()
	for _, next := range []func() <-chan struct{}{func() <-chan struct{} { return watch }, r.events.Idle, r.lines.Idle} {
		ended := next() // called now, because what ended before can have queued messages
		select {
		case <-ended:
			continue
		default: // checked first, because the deadline may have passed too
		}
		select {
		case <-ended:
		case <-limit.C:
			return errors.New("irsa: close timed out: a read of the token file, Options.Logger or Options.Observe has not returned")
		}
	}
	return nil
}
