package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

const (
	latency       = 100 * time.Millisecond  // how long STS takes
	firstLifetime = 2500 * time.Millisecond // lifetime of the first credentials; at least 15 minutes in AWS
	lifetime      = 6500 * time.Millisecond // lifetime of all later credentials
	timeout       = 10 * time.Second        // limit for each expected result
)

// demo runs the steps of the demonstration.
type demo struct {
	kit          *irsatest.Cluster
	screen       *screen
	provider     *irsa.Provider
	ours, theirs *callers

	outage    time.Duration // duration of the outage
	remaining time.Duration // remaining lifetime of irsakit's credentials at its end
}

// steps are the steps in order. Each step causes an event, waits for the expected result and prints
// it.
var steps = []struct {
	title string
	run   func(*demo, context.Context) error
}{
	{"First credentials: each pod sends its token to STS.", (*demo).firstCredentials},
	{"Refresh: irsakit before the expiry, the SDK after it.", (*demo).newKeys},
	{"Rotation: the kubelet writes new tokens.", (*demo).rotation},
	{"Outage: STS answers every request with status 503.", (*demo).stsOutage},
	{"Recovery: STS works again.", (*demo).recovery},
}

// run runs all steps while callers in both pods make requests, and then prints what they observed.
func (d *demo) run(ctx context.Context) error {
	d.kit.STS.SetLatency(latency)
	d.kit.STS.SetLifetime(firstLifetime)
	d.screen.print(introduction())
	if err := d.runSteps(ctx); err != nil {
		return err
	}
	d.ours.take()
	d.theirs.take()
	d.screen.print(d.table())
	return nil
}

func (d *demo) runSteps(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	background.Go(func() { d.ours.run(ctx) })
	background.Go(func() { d.theirs.run(ctx) })
	for i, step := range steps {
		d.screen.print("", fmt.Sprintf("%d. %s", i+1, step.title))
		if err := step.run(d, ctx); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

// firstCredentials waits for the first credentials. The table starts afterward.
func (d *demo) firstCredentials(ctx context.Context) error {
	if err := d.newKeys(ctx); err != nil {
		return err
	}
	d.printToken()
	d.ours.total, d.theirs.total = stats{}, stats{}
	d.kit.STS.ForgetCalls()
	d.kit.STS.SetLifetime(lifetime)
	return nil
}

func (d *demo) rotation(ctx context.Context) error {
	ours, exchanges := d.calls(d.ours), len(d.calls(d.theirs))
	d.ours.pod.Rotate()
	d.theirs.pod.Rotate()
	if err := d.newKey(ctx, d.ours); err != nil {
		return err
	}
	if calls := d.calls(d.ours); calls[len(calls)-1].TokenFingerprint == ours[0].TokenFingerprint {
		return errors.New("irsakit sent the old token")
	}
	d.printToken()
	d.screen.entry(d.theirs.name, fmt.Sprintf("%d STS calls meanwhile: its key is valid", len(d.calls(d.theirs))-exchanges))
	return nil
}

// stsOutage lasts until a refresh by irsakit and a request by each SDK caller have failed.
func (d *demo) stsOutage(ctx context.Context) error {
	logs, start := d.screen.logs.Load(), time.Now()
	d.kit.STS.Fail(irsatest.Unavailable, -1)
	if err := waitFor(ctx, "a line in the log and failed requests of the SDK", func() bool {
		sdk, _ := d.theirs.observed()
		return d.screen.logs.Load() > logs && sdk.failed >= numCallers
	}); err != nil {
		return err
	}
	d.screen.entry(d.ours.name, d.ours.take().String())
	d.screen.entry(d.theirs.name, d.theirs.take().String())
	d.outage, d.remaining = time.Since(start), time.Until(d.provider.Status().Expires)
	return nil
}

func (d *demo) recovery(ctx context.Context) error {
	logs := d.screen.logs.Load()
	d.kit.STS.Recover()
	if err := waitFor(ctx, "a line in the log", func() bool { return d.screen.logs.Load() > logs }); err != nil {
		return err
	}
	return d.newKeys(ctx)
}

// newKeys waits until all callers have new credentials, and prints their access keys.
func (d *demo) newKeys(ctx context.Context) error {
	if err := d.newKey(ctx, d.ours); err != nil {
		return err
	}
	return d.newKey(ctx, d.theirs)
}

func (d *demo) newKey(ctx context.Context, c *callers) error {
	var key string
	if err := waitFor(ctx, c.name+": new credentials for all callers", func() bool {
		_, key = c.observed()
		return key != "" && key != c.printed
	}); err != nil {
		return err
	}
	c.printed = key
	d.screen.entry(c.name, fmt.Sprintf("access key %s…%s", key[:4], key[len(key)-4:]), c.take().String())
	return nil
}

// waitFor waits until condition returns true.
func waitFor(ctx context.Context, what string, condition func() bool) error {
	for start := time.Now(); !condition(); time.Sleep(interval) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(start) > timeout {
			return fmt.Errorf("not seen within %v: %s", timeout, what)
		}
	}
	return nil
}

// calls returns the STS calls made by the pod that c is in.
func (d *demo) calls(c *callers) []irsatest.Call {
	isOther := func(call irsatest.Call) bool { return call.RoleARN != c.pod.RoleARN() }
	return slices.DeleteFunc(d.kit.STS.Calls(), isOther)
}

// printToken prints some claims of the token that irsakit sent to STS.
func (d *demo) printToken() {
	calls := d.calls(d.ours)
	d.screen.entry(d.ours.name, "token accepted by STS, with the claims",
		"sub "+calls[len(calls)-1].Subject, "iat "+d.provider.Status().TokenIssued.Format(time.TimeOnly))
}
