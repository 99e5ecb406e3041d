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

// show plays the scenes, with a line of the table for each half second.
func show(ctx context.Context, out io.Writer, kit *irsatest.Cluster, work *workload) error {
	ctx, stop := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer stop()
	background.Go(func() { work.run(ctx) })

	t := &table{out: out, live: isTerminal(out), kit: kit, work: work, began: time.Now()}
	t.title()
	var first, refreshes, outage tally
	for _, scene := range []struct {
		name  string
		begin func()
		lasts time.Duration
		tally *tally
	}{
		{"first credentials", func() {}, 2 * time.Second, &first},
		{"refreshes in the background", func() {}, 10 * time.Second, &refreshes},
		{"an outage of STS, in the middle of refreshes", kit.STS.Down, time.Second, new(tally)},
		{"it is over", kit.STS.Up, 3 * time.Second, &outage},
		{"tenant-007 trusts nobody any more", func() { kit.Role("tenant-007") }, 8 * time.Second, new(tally)},
	} {
		t.scene(scene.name)
		scene.begin()
		if !t.play(ctx, scene.lasts) {
			return ctx.Err()
		}
		*scene.tally = work.tally()
	}
	return verify(first, refreshes, outage, work)
}

// tally is how the requests have fared so far.
type tally struct{ served, waited, refused int64 }

func (w *workload) tally() tally {
	return tally{w.served.Load(), w.waited.Load(), w.refused.Load()}
}

// verify says which promise was not kept, if one was not.
func verify(first, refreshes, outage tally, work *workload) error {
	switch {
	case first.refused > 0:
		return fmt.Errorf("%d requests failed while the first credentials came", first.refused)
	case refreshes.waited > first.waited:
		return fmt.Errorf("%d requests waited for a refresh", refreshes.waited-first.waited)
	case outage.refused > 0 || outage.waited > first.waited:
		return fmt.Errorf("%d requests failed in the outage, and %d waited", outage.refused, outage.waited-first.waited)
	}
	return work.verifyOneDenied()
}

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
	return nil
}

// table shows the pool, one line a half second; on a terminal the last line is rewritten.
type table struct {
	out   io.Writer
	live  bool
	kit   *irsatest.Cluster
	work  *workload
	began time.Time
}

func (t *table) title() {
	fmt.Fprintf(t.out, "%7s  %5s %5s %6s %7s  %9s %7s  %8s %7s %7s\n",
		"seconds", "roles", "fresh", "stale", "failing", "STS calls", "running", "requests", "waited", "refused")
}

func (t *table) scene(name string) { fmt.Fprintf(t.out, "-- %s\n", name) }

// play shows a scene. It says whether ctx goes on.
func (t *table) play(ctx context.Context, lasts time.Duration) bool {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(lasts); time.Now().Before(end); {
		select {
		case <-ticker.C:
			t.line()
		case <-ctx.Done():
			return false
		}
	}
	if t.live {
		fmt.Fprintln(t.out)
	}
	return true
}

func (t *table) line() {
	states := map[cache.State]int{}
	for provider := range t.work.pool.Providers() {
		states[provider.Status().State]++
	}
	status, sofar := t.work.pool.Status(), t.work.tally()
	begin, end := "", "\n"
	if t.live {
		begin, end = "\r\x1b[K", ""
	}
	fmt.Fprintf(t.out, "%s%7.1f  %5d %5d %6d %7d  %9d %7d  %8d %7d %7d%s", begin,
		time.Since(t.began).Seconds(), status.Roles, states[cache.Fresh], states[cache.Stale], status.Failing,
		t.kit.STS.CallCount(), status.Calls.Running, sofar.served, sofar.waited, sofar.refused, end)
}

// isTerminal says whether a person looks on.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
