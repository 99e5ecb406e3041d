package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// runPhases runs all phases. It prints a line of the table every half second.
func runPhases(ctx context.Context, out io.Writer, kit *irsatest.Cluster, work *workload) error {
	ctx, stop := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer stop()
	background.Go(func() { work.run(ctx) })

	t := &table{out: out, live: isTerminal(out), kit: kit, work: work, start: time.Now()}
	t.printHeader()
	var first, refreshes, outage counts
	for _, phase := range []struct {
		name     string
		begin    func()
		duration time.Duration
		counts   *counts
	}{
		{"first credentials", func() {}, 2 * time.Second, &first},
		{"refreshes in the background", func() {}, 10 * time.Second, &refreshes},
		{"an outage of STS, in the middle of refreshes", kit.STS.Down, time.Second, new(counts)},
		{"it is over", kit.STS.Up, 3 * time.Second, &outage},
		{"tenant-007 trusts nobody any more", func() { kit.Role("tenant-007") }, 8 * time.Second, new(counts)},
	} {
		t.printPhase(phase.name)
		phase.begin()
		if !t.printLines(ctx, phase.duration) {
			return ctx.Err()
		}
		*phase.counts = work.counts()
	}
	return verify(first, refreshes, outage, work)
}

// counts contains the numbers of requests so far.
type counts struct{ served, waited, failed int64 }

func (w *workload) counts() counts {
	return counts{w.served.Load(), w.waited.Load(), w.failed.Load()}
}

// verify returns an error if a guarantee was not met.
func verify(first, refreshes, outage counts, work *workload) error {
	switch {
	case first.failed > 0:
		return fmt.Errorf("%d requests failed while the first credentials came", first.failed)
	case refreshes.waited > first.waited:
		return fmt.Errorf("%d requests waited for a refresh", refreshes.waited-first.waited)
	case outage.failed > 0 || outage.waited > first.waited:
		return fmt.Errorf("%d requests failed in the outage, and %d waited", outage.failed, outage.waited-first.waited)
	}
	return work.verifyOneDenied()
}

// verifyOneDenied returns an error unless exactly one tenant is denied access.
func (w *workload) verifyOneDenied() error {
	denied := 0
	for provider := range w.pool.Providers() {
		if errors.Is(provider.Status().Err, irsa.ErrAccessDenied) {
			denied++
		}
	}
	if denied != 1 {
		return fmt.Errorf("%d tenants are denied access, and not one", denied)
	}
	for name, tenant := range w.pool.Status().Tenants {
		if failing := tenant.Failing > 0; failing != (name == "tenant-007") {
			return fmt.Errorf("%s has %d failing roles", name, tenant.Failing)
		}
	}
	return nil
}

// table prints the state of the pool, one line per half second. On a terminal it rewrites
// the last line in place.
type table struct {
	out   io.Writer
	live  bool
	kit   *irsatest.Cluster
	work  *workload
	start time.Time
}

func (t *table) printHeader() {
	fmt.Fprintf(t.out, "%7s  %5s %5s %6s %7s  %9s %7s  %8s %7s %7s\n",
		"seconds", "roles", "fresh", "stale", "failing", "STS calls", "running", "requests", "waited", "refused")
}

func (t *table) printPhase(name string) { fmt.Fprintf(t.out, "-- %s\n", name) }

// printLines prints the lines of a phase. It reports whether the phase ended before ctx
// was done.
func (t *table) printLines(ctx context.Context, duration time.Duration) bool {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(duration); time.Now().Before(end); {
		select {
		case <-ticker.C:
			t.printLine()
		case <-ctx.Done():
			return false
		}
	}
	if t.live {
		fmt.Fprintln(t.out)
	}
	return true
}

func (t *table) printLine() {
	states := map[cache.State]int{}
	for provider := range t.work.pool.Providers() {
		states[provider.Status().State]++
	}
	status, total := t.work.pool.Status(), t.work.counts()
	begin, end := "", "\n"
	if t.live {
		begin, end = "\r\x1b[K", ""
	}
	fmt.Fprintf(t.out, "%s%7.1f  %5d %5d %6d %7d  %9d %7d  %8d %7d %7d%s", begin,
		time.Since(t.start).Seconds(), status.Roles, states[cache.Fresh], states[cache.Stale], status.Failing,
		t.kit.STS.CallCount(), status.Calls.Running, total.served, total.waited, total.failed, end)
}

// isTerminal reports whether out is a terminal.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
