// Multitenant holds the credentials of a hundred tenants' roles in one process, as a
// controller does, and shows how they fare: first credentials, refreshes in the background,
// a tenant whose role trusts nobody any more, an outage of STS. It needs no AWS account.
//
//	go run ./examples/multitenant
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

const (
	tenants = 100
	life    = 10 * time.Second       // of the credentials, where AWS gives an hour
	latency = 250 * time.Millisecond // of STS, so that who waits for it shows
	calls   = 20                     // of STS, at the same time
)

func main() {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the failures below are meant
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "multitenant:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	kit, err := irsatest.Start()
	if err != nil {
		return err
	}
	defer kit.Close()
	return control(ctx, out, kit)
}

// control is the controller: it holds a role for each tenant.
func control(ctx context.Context, out io.Writer, kit *irsatest.Cluster) error {
	kit.STS.SetLife(life)
	kit.STS.SetLatency(latency)
	controller := kit.ServiceAccount("platform", "controller")
	pod := kit.Pod(controller, kit.Role("platform", irsatest.Trust(controller)))

	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) { // in a pod the zero value will do
		pod.Options(&o.Options)
		o.MaxCalls = calls
	})
	if err != nil {
		return err
	}
	defer pool.Close()

	work := &workload{pool: pool}
	for i := range tenants {
		role := kit.Role(fmt.Sprintf("tenant-%03d", i), irsatest.Trust(controller))
		work.roles = append(work.roles, role)
	}
	return show(ctx, out, kit, work)
}

// workload are the tenants' requests: ten a second for each.
type workload struct {
	pool    *irsa.Pool
	roles   []*irsatest.Role
	served  atomic.Int64
	waited  atomic.Int64 // for STS
	refused atomic.Int64
}

// run makes the requests until ctx ends.
func (w *workload) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, role := range w.roles {
		all.Go(func() {
			for ctx.Err() == nil {
				w.request(ctx, role.ARN())
				select {
				case <-time.After(100 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	all.Wait()
}

// request is what a controller does for a tenant: it asks the pool for the tenant's
// provider, and a client for AWS asks that one for credentials.
func (w *workload) request(ctx context.Context, roleARN string) {
	provider, err := w.pool.Provider(irsa.RoleOptions{RoleARN: roleARN})
	if err != nil {
		w.refused.Add(1)
		return
	}
	start := time.Now()
	_, err = provider.Retrieve(ctx)
	switch {
	case errors.Is(err, context.Canceled):
	case err != nil:
		w.refused.Add(1)
	default:
		w.served.Add(1)
		if time.Since(start) >= latency {
			w.waited.Add(1)
		}
	}
}
