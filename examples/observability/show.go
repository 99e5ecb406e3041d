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

// show is the demonstration.
type show struct {
	kit       *irsatest.Cluster
	pod       *irsatest.Pod
	provider  *irsa.Provider
	telemetry *telemetry
	url       string
	out       io.Writer
}

func (s *show) play(ctx context.Context) error {
	for _, scene := range []func(context.Context) error{s.begin, s.outage, s.recovery, s.summary} {
		if err := scene(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *show) begin(ctx context.Context) error {
	s.say("the first credentials, and a refresh in the background")
	if err := s.provider.WaitReady(ctx); err != nil {
		return err
	}
	s.kit.STS.SetLife(time.Minute) // of the next ones: time enough for what follows
	first := s.provider.Status().LastSuccess
	if err := s.until(ctx, "a refresh", func() bool { return s.provider.Status().LastSuccess.After(first) }); err != nil {
		return err
	}
	return s.probe(ctx)
}

func (s *show) outage(ctx context.Context) error {
	s.say("STS throttles; meanwhile the kubelet writes a new token")
	s.kit.STS.Fail(irsatest.Throttling, -1)
	if err := s.provider.Refresh(ctx); !errors.Is(err, irsa.ErrThrottled) { // sooner than it would by itself
		return fmt.Errorf("the refresh was to be throttled: %w", err)
	}
	before := s.provider.Status().TokenExpiry
	s.pod.Rotate(func(o *irsatest.TokenOptions) { o.Life = 36 * time.Hour })
	if err := s.until(ctx, "the new token", func() bool { return s.provider.Status().TokenExpiry.After(before) }); err != nil {
		return err
	}
	return s.probe(ctx)
}

func (s *show) recovery(ctx context.Context) error {
	s.say("STS answers again")
	s.kit.STS.Recover()
	if err := s.until(ctx, "the recovery", func() bool { return s.provider.Healthy() == nil }); err != nil {
		return err
	}
	return s.probe(ctx)
}

func (s *show) summary(ctx context.Context) error {
	s.say("what a scrape of /metrics finds")
	scrape, err := s.get(ctx, "/metrics")
	if err != nil {
		return err
	}
	for line := range strings.Lines(scrape) {
		if strings.HasPrefix(line, "irsa_") {
			fmt.Fprint(s.out, line)
		}
	}
	s.say("what OpenTelemetry has got")
	return s.telemetry.print(ctx, s.out)
}

// probe prints what the kubelet is told.
func (s *show) probe(ctx context.Context) error {
	for _, path := range []string{"/healthz", "/readyz"} {
		text, err := s.get(ctx, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "%s: %s", path, text)
	}
	return nil
}

// get returns what is at path, if it is well.
func (s *show) get(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
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

func (s *show) say(text string) { fmt.Fprintf(s.out, "\n# %s\n", text) }

// until waits until something has happened, but not for long.
func (s *show) until(ctx context.Context, what string, happened func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("it takes too long"))
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !happened() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		}
	}
	return nil
}
