package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// outagePlan configures an outage of STS. The outage begins when the contender refreshes,
// which is its worst case.
type outagePlan struct {
	callers     int
	every       time.Duration
	long, short time.Duration // lifetimes of credentials
	lasts       time.Duration // duration of the outage
	stuck       time.Duration // duration of a call that hangs, which may exceed the outage
	after       time.Duration // how long callers continue afterwards
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
	during    = "STS calls during it"
	recovery  = "recovery"
	longest   = "longest wait"
	shorter   = "shorter: "
	longer    = "longer: "
	answering = "answering" // charts
	asking    = "asking"

	chartFrom, chartTo = -5, 20 // in seconds since the outage began

	outageLatency = 20 * time.Millisecond // of STS, before and after the outage
)

// outages measures outages that are shorter and longer than the remaining lifetime of the
// credentials at the time of irsakit's refresh.
func outages(p outagePlan) measure {
	return measure{
		name: "outage", title: "An outage of 10 seconds",
		about: fmt.Sprintf("%d callers, each asking every %v. STS goes out of order at the moment when the contender comes to "+
			"refresh, which is its worst, for %v; calls that hang stay so for %v. Shorter: credentials live %v, of which irsakit has "+
			"between a fifth and two fifths left when it refreshes, so that the outage is shorter. Longer: they live %v. Of the SDK's "+
			"credentials nothing is left when it refreshes, so that every outage at that moment is longer; one that begins and ends "+
			"between two refreshes nobody notices. Recovery is from the outage's end until a caller has credentials. "+
			"All contenders and kinds at the same time, each with an STS of its own, in a process with real-time priority whose garbage collector rests.",
			p.callers, p.every, p.lasts, p.stuck, p.long, p.short),
		run: func(ctx context.Context, l *lab, s *sheet) error {
			for _, length := range []struct {
				name string
				life time.Duration
			}{{shorter, p.long}, {longer, p.short}} {
				l.progress("%scredentials that live %v", length.name, length.life)
				if err := outagesOf(ctx, l, s, length.name, length.life, p); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// cell is one contender in one kind of outage.
type cell struct {
	contender contender
	scene     string
	fault     irsatest.Fault

	place    Place
	provider aws.CredentialsProvider
	traffic  traffic

	requests    []request
	began, ends time.Time
}

// outagesOf exposes each contender to each kind of outage. Static keys have no outage.
func outagesOf(ctx context.Context, l *lab, s *sheet, length string, life time.Duration, p outagePlan) (err error) {
	var cells []*cell
	for _, kind := range kinds {
		for _, c := range dynamic {
			place, release, failed := l.sts.place(Setup{Life: life, Latency: outageLatency, Exact: true})
			if failed != nil {
				return failed
			}
			defer func() { err = errors.Join(err, release()) }()
			next := &cell{contender: c, scene: length + kind.name, fault: kind.fault, place: place}
			if next.provider, err = made(ctx, c, place, &next.traffic); err != nil {
				return err
			}
			defer closeProvider(next.provider)
			cells = append(cells, next)
		}
	}
	idle := &cell{contender: staticKeys, scene: length + "none"}
	if err := meet(ctx, l, p, cells, idle); err != nil {
		return err
	}
	for _, c := range append(cells, idle) {
		c.report(s, p)
	}
	return nil
}

// meet runs the outages of all cells at the same time. The idle cell has no outage.
func meet(ctx context.Context, l *lab, p outagePlan, cells []*cell, idle *cell) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	static, err := newStatic(ctx, Place{}, nil)
	if err != nil {
		return err
	}
	defer realTime()()
	quiet, endQuiet := context.WithCancel(ctx)
	var asking, running sync.WaitGroup
	asking.Go(func() { idle.requests = ask(quiet, static, p.callers, p.every) })
	for _, c := range cells {
		running.Go(func() {
			if err := c.run(ctx, l, p); err != nil {
				cancel(fmt.Errorf("%s, %s: %w", c.contender.name, c.scene, err))
			}
		})
	}
	running.Wait()
	endQuiet()
	asking.Wait()
	return context.Cause(ctx)
}

// run makes requests before, during and after the outage.
func (c *cell) run(ctx context.Context, l *lab, p outagePlan) error {
	if _, err := c.provider.Retrieve(ctx); err != nil {
		return err
	}
	begun := make(chan error, 1)
	outage := Outage{c.place.ID, c.fault}
	c.traffic.beforeNext(func(call time.Time) {
		c.began = call
		begun <- l.sts.command("Break", outage)
	})
	asking, stop := context.WithCancel(ctx)
	var callers sync.WaitGroup
	callers.Go(func() { c.requests = ask(asking, c.provider, p.callers, p.every) })
	err := c.outage(ctx, l, p, outage, begun)
	stop()
	callers.Wait()
	return err
}

// outage waits until the outage begins, ends it, and waits while the callers continue.
func (c *cell) outage(ctx context.Context, l *lab, p outagePlan, outage Outage, begun <-chan error) error {
	select {
	case err := <-begun:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	sleep(ctx, p.lasts)
	c.ends = time.Now()
	if err := l.sts.command("Mend", outage); err != nil {
		return err
	}
	if c.fault == irsatest.Hang {
		sleep(ctx, p.stuck-p.lasts)
		if err := l.sts.command("Release", outage.ID); err != nil {
			return err
		}
	}
	sleep(ctx, p.after)
	return ctx.Err()
}

// sleep waits for d or until ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (c *cell) report(s *sheet, p outagePlan) {
	a, name := summarize(c.requests), c.contender.name
	s.addCount(c.scene, name, requests, len(c.requests))
	s.addCount(c.scene, name, failures, a.failed)
	s.addCount(c.scene, name, overSlow, a.slow)
	s.addTime(c.scene, name, longest, a.percentile(1))
	if c.ends.IsZero() {
		return // the cell had no outage
	}
	s.addCount(c.scene, name, during, c.traffic.between(c.began, c.ends))
	s.addTime(c.scene, name, recovery, c.recovery(p))
	conditions := fmt.Sprintf("%d callers; credentials live %v, STS otherwise answers after %v", p.callers, c.place.Life, outageLatency)
	s.draw(series{answering + " " + c.scene, conditions, name, chartFrom, 1, bySecond(c.answered(), c.began)})
	s.draw(series{asking + " " + c.scene, conditions, name, chartFrom, 1, bySecond(c.traffic.list(), c.began)})
}

// recovery returns the time from the end of the outage until a caller had credentials, or
// until the callers stopped if none had any.
func (c *cell) recovery(p outagePlan) time.Duration {
	first := p.stuck + p.after
	for _, r := range c.requests {
		if after := r.done().Sub(c.ends); !r.failed && after >= 0 {
			first = min(first, after)
		}
	}
	return first
}

// answered returns the times of the requests that returned credentials within a second.
func (c *cell) answered() []time.Time {
	var all []time.Time
	for _, r := range c.requests {
		if !r.failed && r.took <= time.Second {
			all = append(all, r.due)
		}
	}
	return all
}

// bySecond counts the moments in each second before and after the beginning of the outage.
func bySecond(moments []time.Time, began time.Time) []float64 {
	counts := make([]float64, chartTo-chartFrom)
	for _, moment := range moments {
		if i := int(math.Floor(moment.Sub(began).Seconds())) - chartFrom; i >= 0 && i < len(counts) {
			counts[i]++
		}
	}
	return counts
}
