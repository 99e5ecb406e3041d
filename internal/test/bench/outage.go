package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// outagePlan configures an outage of STS. The outage begins when the contender refreshes,
// which is its worst case.
type outagePlan struct {
	Callers        int
	Every, Latency time.Duration
	Long, Short    time.Duration // lifetimes of credentials
	Duration       time.Duration // of the outage
	Hang           time.Duration // duration of a call that hangs, which may exceed the outage
	After          time.Duration // how long callers continue afterwards
}

// kinds contains the kinds of outages.
var kinds = []struct {
	name  string
	fault irsatest.Fault
}{
	{"refused", ""},
	{"503", irsatest.Unavailable},
	{"throttled", irsatest.Throttling},
	{"IDP error", irsatest.IDPCommunicationError},
	{"hang", irsatest.Hang},
}

const (
	during   = "STS calls during outage"
	recovery = "recovery"
	shorter  = "shorter: "
	longer   = "longer: "
	served   = "served" // charts
	calling  = "calls"

	chartFrom, chartTo = -5, 20 // in seconds since the outage began
)

// run measures outages that are shorter and longer than the remaining lifetime of the
// credentials at the time of irsakit's refresh.
func (p outagePlan) run(ctx context.Context, l *lab, s *sheet) error {
	if err := p.measure(ctx, l, s, shorter, p.Long); err != nil {
		return err
	}
	return p.measure(ctx, l, s, longer, p.Short)
}

// cell is one contender in one kind of outage.
type cell struct {
	contender contender
	scene     string
	fault     irsatest.Fault

	place    Place
	provider aws.CredentialsProvider
	traffic  traffic

	requests   []request
	begin, end time.Time
}

// measure exposes each contender to each kind of outage at the same time. Static keys have no
// outage.
func (p outagePlan) measure(ctx context.Context, l *lab, s *sheet, length string, lifetime time.Duration) error {
	var cells []*cell
	for _, kind := range kinds {
		for _, contender := range dynamic {
			c := &cell{contender: contender, scene: length + kind.name, fault: kind.fault}
			var err error
			if c.place, err = l.place(Setup{Lifetime: lifetime, Latency: p.Latency, Exact: true}); err != nil {
				return err
			}
			providers, err := l.providers(ctx, contender, c.place, &c.traffic, 1, false)
			if err != nil {
				return err
			}
			c.provider = providers[0]
			cells = append(cells, c)
		}
	}
	idle := &cell{contender: staticKeys, scene: length + "none"}
	static, err := newStatic(ctx, Place{}, nil)
	if err != nil {
		return err
	}
	quiet, endQuiet := context.WithCancel(ctx)
	var callers sync.WaitGroup
	restore := realTime()
	callers.Go(func() { idle.requests = call(quiet, static, p.Callers, p.Every) })
	err = each(ctx, len(cells), func(ctx context.Context, i int) error { return cells[i].run(ctx, l, p) })
	endQuiet()
	callers.Wait()
	restore()
	if err != nil {
		return err
	}
	for _, c := range append(cells, idle) {
		c.report(s, p)
	}
	return l.close()
}

// run makes requests before, during and after the outage.
func (c *cell) run(ctx context.Context, l *lab, p outagePlan) error {
	if _, err := c.provider.Retrieve(ctx); err != nil {
		return fmt.Errorf("%s, %s: %w", c.contender.name, c.scene, err)
	}
	begun := make(chan error, 1)
	c.traffic.beforeNext(func(call time.Time) {
		c.begin = call
		begun <- l.child.do(Command{Cluster: c.place.ID, Name: breakSTS, Fault: c.fault})
	})
	ctx, cancel := context.WithCancel(ctx)
	var callers sync.WaitGroup
	defer callers.Wait()
	defer cancel()
	callers.Go(func() { c.requests = call(ctx, c.provider, p.Callers, p.Every) })
	select {
	case err := <-begun:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	sleep(ctx, p.Duration)
	c.end = time.Now()
	err := l.child.do(Command{Cluster: c.place.ID, Name: repairSTS, Fault: c.fault})
	if c.fault == irsatest.Hang && err == nil {
		sleep(ctx, p.Hang-p.Duration)
		err = l.child.do(Command{Cluster: c.place.ID, Name: release})
	}
	sleep(ctx, p.After)
	return errors.Join(err, ctx.Err())
}

func (c *cell) report(s *sheet, p outagePlan) {
	total, name := summarize(c.requests), c.contender.name
	total.report(s, c.scene, name)
	if c.end.IsZero() {
		return // the cell had no outage
	}
	calls, inOutage := c.traffic.list(), 0
	for _, call := range calls {
		if !call.Before(c.begin) && call.Before(c.end) {
			inOutage++
		}
	}
	s.addCount(c.scene, name, during, inOutage)
	s.addTime(c.scene, name, recovery, c.recovery(p))
	from := c.begin.Add(chartFrom * time.Second)
	s.draw(series{served + ", " + c.scene, name, chartFrom, 1, perInterval(c.served(), from, time.Second, chartTo-chartFrom)})
	s.draw(series{calling + ", " + c.scene, name, chartFrom, 1, perInterval(calls, from, time.Second, chartTo-chartFrom)})
}

// recovery returns the time from the end of the outage until a caller had credentials, or
// until the callers stopped if none had any.
func (c *cell) recovery(p outagePlan) time.Duration {
	first := p.Hang + p.After
	for _, r := range c.requests {
		if after := r.due.Add(r.took).Sub(c.end); !r.failed && after >= 0 {
			first = min(first, after)
		}
	}
	return first
}

// served returns the times of the requests that returned credentials within a second.
func (c *cell) served() []time.Time {
	var all []time.Time
	for _, r := range c.requests {
		if !r.failed && r.took <= time.Second {
			all = append(all, r.due)
		}
	}
	return all
}
