package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

const (
	latency        = 250 * time.Millisecond // latency of STS, long enough to detect callers that wait
	lifetime       = 4 * time.Second        // lifetime of credentials; at least 15 minutes in AWS
	outageLifetime = 8 * time.Second        // lifetime of the credentials used during the outage
	timeout        = 10 * time.Second       // limit of each wait for an expected result
)

// demo runs the steps of the demonstration for one pod.
type demo struct {
	kit      *irsatest.Cluster
	pod      *irsatest.Pod
	provider *irsa.Provider
	callers  *callers
	log      *logHandler
	screen   *screen
	lifetime time.Duration // lifetime of the credentials
	timeout  time.Duration
}

// steps are the steps in order. Each causes an event, waits for the expected result and
// prints it, or returns an error that describes the missing result.
var steps = []struct {
	name string
	run  func(*demo, context.Context) error
}{
	{"first credentials", (*demo).firstCredentials},
	{"background refresh", (*demo).backgroundRefresh},
	{"token rotation", (*demo).tokenRotation},
	{"STS outage", (*demo).outage},
	{"recovery", (*demo).recovery},
}

// run runs all steps while callers retrieve credentials, and prints a summary of what the
// callers observed.
func (d *demo) run(ctx context.Context) error {
	d.kit.STS.SetLatency(latency)
	d.kit.STS.SetLifetime(d.lifetime)
	d.screen.event("%d callers ask, each once a millisecond. STS takes %v to answer.", numCallers, latency)
	if err := d.runSteps(ctx); err != nil {
		return err
	}
	d.printSummary()
	return nil
}

func (d *demo) runSteps(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	background.Go(func() { d.callers.run(ctx) })
	background.Go(func() { d.screen.updateStatus(ctx, d.status) })
	for _, step := range steps {
		if err := step.run(d, ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

func (d *demo) firstCredentials(ctx context.Context) error {
	served := func() bool { return d.callers.stats().served == numCallers }
	if err := d.waitFor(ctx, "credentials for every caller", served); err != nil {
		return err
	}
	if n := d.kit.STS.CallCount(); n != 1 {
		return fmt.Errorf("there were %d STS calls, not one for all callers", n)
	}
	seen := d.callers.stats()
	d.screen.result("First credentials: %s. All callers waited %v for one call.", seen.key, rounded(seen.firstWait))
	return nil
}

func (d *demo) backgroundRefresh(ctx context.Context) error {
	if err := d.newCredentials(ctx); err != nil {
		return err
	}
	seen := d.callers.stats()
	d.screen.result("Refreshed in the background: %s. No call took longer than %v.", seen.key, rounded(seen.longestWait))
	return nil
}

func (d *demo) tokenRotation(ctx context.Context) error {
	before := d.lastToken()
	d.kit.STS.SetLifetime(outageLifetime)
	d.pod.Rotate()
	d.screen.event("The kubelet rotates the token. STS last saw %s.", before)
	if err := d.newCredentials(ctx); err != nil {
		return err
	}
	after := d.lastToken()
	if after == before {
		return errors.New("the next exchange still used the old token")
	}
	d.screen.result("Refreshed: %s. STS saw the new token, %s.", d.callers.stats().key, after)
	return nil
}

func (d *demo) outage(ctx context.Context) error {
	before, warnings := d.callers.stats(), d.log.count(slog.LevelWarn)
	d.kit.STS.Down()
	d.screen.event("STS is down. It refuses connections.")
	failed := func() bool {
		return d.provider.Status().Failures > 0 && d.log.count(slog.LevelWarn) > warnings
	}
	if err := d.waitFor(ctx, "a refresh that fails, with a warning in the log", failed); err != nil {
		return err
	}
	d.screen.result("A refresh failed. No caller noticed: %d calls meanwhile, no error.",
		d.callers.stats().calls-before.calls)
	return nil
}

func (d *demo) recovery(ctx context.Context) error {
	lines := d.log.count(slog.LevelInfo)
	d.kit.STS.Up()
	d.screen.event("STS is up again.")
	if err := d.newCredentials(ctx); err != nil {
		return err
	}
	recovered := func() bool {
		return d.provider.Status().Failures == 0 && d.log.count(slog.LevelInfo) > lines
	}
	if err := d.waitFor(ctx, "the recovery in status and log", recovered); err != nil {
		return err
	}
	d.screen.result("Recovered: %s.", d.callers.stats().key)
	return nil
}

// newCredentials waits until callers get new credentials.
func (d *demo) newCredentials(ctx context.Context) error {
	before := d.callers.stats().distinct
	return d.waitFor(ctx, "new credentials", func() bool { return d.callers.stats().distinct > before })
}

// waitFor waits until condition reports true. It returns an error after the timeout, or as
// soon as a caller got an error or waited for STS.
func (d *demo) waitFor(ctx context.Context, what string, condition func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, fmt.Errorf("not seen within %v: %s", d.timeout, what))
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for !condition() {
		if err := d.callers.stats().check(); err != nil {
			return err
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return d.callers.stats().check()
}

// lastToken returns the fingerprint of the token in the last STS request.
func (d *demo) lastToken() string {
	calls := d.kit.STS.Calls()
	return calls[len(calls)-1].TokenFingerprint
}
