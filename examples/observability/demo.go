package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// demo is the demonstration printed by the program.
type demo struct {
	kit       *irsatest.Cluster
	pod       *irsatest.Pod
	provider  *irsa.Provider
	telemetry *telemetry
	url       string
	out       io.Writer
}

func (d *demo) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{d.firstRefresh, d.outage, d.recovery, d.summary} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) firstRefresh(ctx context.Context) error {
	d.printHeading("the first credentials, and a refresh in the background")
	if err := d.provider.WaitReady(ctx); err != nil {
		return err
	}
	d.kit.STS.SetLifetime(time.Minute) // the next credentials outlive the remaining steps
	first := d.provider.Status().LastSuccess
	if err := d.waitFor(ctx, "a refresh", func() bool { return d.provider.Status().LastSuccess.After(first) }); err != nil {
		return err
	}
	return d.probe(ctx)
}

func (d *demo) outage(ctx context.Context) error {
	d.printHeading("STS throttles; meanwhile the kubelet writes a new token")
	d.kit.STS.Fail(irsatest.Throttling, -1)
	if err := d.provider.Refresh(ctx); !errors.Is(err, irsa.ErrThrottled) { // instead of waiting for the scheduled refresh
		return fmt.Errorf("the refresh was not throttled: %w", err)
	}
	before := d.provider.Status().TokenExpiry
	d.pod.Rotate(func(o *irsatest.TokenOptions) { o.Lifetime = 36 * time.Hour })
	if err := d.waitFor(ctx, "the new token", func() bool { return d.provider.Status().TokenExpiry.After(before) }); err != nil {
		return err
	}
	return d.probe(ctx)
}

func (d *demo) recovery(ctx context.Context) error {
	d.printHeading("STS answers again")
	d.kit.STS.Recover()
	if err := d.waitFor(ctx, "the recovery", func() bool { return d.provider.Healthy() == nil }); err != nil {
		return err
	}
	return d.probe(ctx)
}

func (d *demo) summary(ctx context.Context) error {
	d.printHeading("the result of a scrape of /metrics")
	scrape, err := d.get(ctx, "/metrics")
	if err != nil {
		return err
	}
	for line := range strings.Lines(scrape) {
		if strings.HasPrefix(line, "irsa_") {
			fmt.Fprint(d.out, line)
		}
	}
	d.printHeading("the spans and instruments of OpenTelemetry")
	return d.telemetry.print(ctx, d.out)
}

// probe prints the responses to the kubelet's probes.
func (d *demo) probe(ctx context.Context) error {
	for _, path := range []string{"/healthz", "/readyz"} {
		text, err := d.get(ctx, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(d.out, "%s: %s", path, text)
	}
	return nil
}

// get returns the body at path. Any status other than 200 is an error.
func (d *demo) get(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+path, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, response.Status, body)
	}
	return string(body), err
}

func (d *demo) printHeading(text string) { fmt.Fprintf(d.out, "\n# %s\n", text) }

// waitFor waits up to 30 s until condition returns true.
func (d *demo) waitFor(ctx context.Context, what string, condition func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("timed out after 30s"))
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		}
	}
	return nil
}
