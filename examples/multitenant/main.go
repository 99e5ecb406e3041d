// Multitenant holds the credentials of a hundred tenants' roles in one process, as a
// controller does. It demonstrates the first credentials, background refreshes, an STS
// outage and a tenant whose role no longer trusts the controller. It needs no AWS account.
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
	tenants  = 100
	lifetime = 10 * time.Second       // lifetime of the credentials; one hour in AWS
	latency  = 250 * time.Millisecond // latency of STS, long enough to detect requests that wait
	maxCalls = 20                     // limit of concurrent STS requests
)

func main() {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the failures below are intended
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
	return runController(ctx, out, kit)
}

// runController runs the controller, which holds a role for each tenant.
func runController(ctx context.Context, out io.Writer, kit *irsatest.Cluster) error {
	kit.STS.SetLifetime(lifetime)
	kit.STS.SetLatency(latency)
	controller := kit.ServiceAccount("platform", "controller")
	pod := kit.Pod(controller, kit.Role("platform", irsatest.Trust(controller)))

	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) { // in a pod, the zero value suffices
		pod.Options(&o.Options)
		o.MaxCalls = maxCalls
	})
	if err != nil {
		return err
	}
	defer pool.Close()

	work := &workload{pool: pool}
	for i := range tenants {
		name := fmt.Sprintf("tenant-%03d", i)
		role := kit.Role(name, irsatest.Trust(controller))
		work.roles = append(work.roles, irsa.RoleOptions{RoleARN: role.ARN(), Tenant: name})
	}
	return runPhases(ctx, out, kit, work)
}

// workload simulates the tenants' requests, ten per second for each tenant.
type workload struct {
	pool   *irsa.Pool
	roles  []irsa.RoleOptions // one for each tenant
	served atomic.Int64
	waited atomic.Int64 // requests that waited for STS
	failed atomic.Int64
}

// run makes requests until ctx is done.
func (w *workload) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, role := range w.roles {
		all.Go(func() {
			for ctx.Err() == nil {
				w.request(ctx, role)
				select {
				case <-time.After(100 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	all.Wait()
}

// request does what a controller does for a tenant: it gets the tenant's provider from the
// pool, from which an AWS client retrieves credentials.
func (w *workload) request(ctx context.Context, role irsa.RoleOptions) {
	provider, err := w.pool.Provider(role)
	if err != nil {
		w.failed.Add(1)
		return
	}
	start := time.Now()
	_, err = provider.Retrieve(ctx)
	switch {
	case errors.Is(err, context.Canceled):
	case err != nil:
		w.failed.Add(1)
	default:
		w.served.Add(1)
		if time.Since(start) >= latency {
			w.waited.Add(1)
		}
	}
}
