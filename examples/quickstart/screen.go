package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/irsakit/irsakit/irsa"
)

// screen prints a timeline. Lines are at most 60 columns wide, so that the output is the same on any
// terminal and in a file. It is also a slog.Handler that prints irsakit's log.
type screen struct {
	start time.Time
	logs  atomic.Int32 // number of log records

	mu  sync.Mutex
	out io.Writer
}

// entry prints the time and an event in a pod, with details below.
func (s *screen) entry(pod, text string, details ...string) {
	text = fmt.Sprintf("%6.1fs  %-7s %s", time.Since(s.start).Seconds(), pod, text)
	s.print(strings.Join(append([]string{text}, details...), "\n"+strings.Repeat(" ", 17)))
}

func (s *screen) print(lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintln(s.out, strings.Join(lines, "\n"))
}

func (s *screen) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (s *screen) WithAttrs([]slog.Attr) slog.Handler               { return s } // the role, of which there is only one
func (s *screen) WithGroup(string) slog.Handler                    { return s } // not used by the library

// Handle prints the message, with the attributes below it. For an error, it prints STS's code or the
// kind, because the advice is meant for a real STS rather than a simulated outage.
func (s *screen) Handle(_ context.Context, r slog.Record) error {
	var details []string
	r.Attrs(func(a slog.Attr) bool {
		text := strings.ReplaceAll(a.Key, "_", " ") + ": "
		switch value := a.Value.Any().(type) {
		case time.Time:
			details = append(details, text+rounded(time.Until(value))+" from now")
		case *irsa.Error:
			details = append(details, text+cmp.Or(value.Code, value.Kind.Error()))
		}
		return true
	})
	s.entry("irsakit", fmt.Sprintf("logs %v %s", r.Level, r.Message), details...)
	s.logs.Add(1)
	return nil
}

// introduction describes the program and its conditions.
func introduction() string {
	return fmt.Sprintf(`irsakit provides AWS credentials to applications in
Kubernetes pods. Here it runs in one pod, and the provider
of aws-sdk-go-v2 (SDK) in another one, with the same STS.
All of it runs in this process; no AWS account is used.

  callers      %d in each pod, a request every %v
  request      fails if it has no credentials in %v;
               has waited if it took more than %v
  credentials  expire after %v, later ones after %v
               (in AWS: 15 minutes to 12 hours)
  STS          answers after %v
  SDK          WebIdentityRoleProvider in CredentialsCache,
               default options`,
		numCallers, interval, deadline, longWait, firstLifetime, lifetime, latency)
}

// table returns what callers in both pods observed.
func (d *demo) table() string {
	ours, theirs := d.ours.total, d.theirs.total
	row := func(name string, theirs, ours any) string {
		return fmt.Sprintf("  %-20s %15v %15v\n", name, theirs, ours)
	}
	return "\nAfter the first credentials:\n\n" +
		row("", "aws-sdk-go-v2", "irsakit") +
		row("requests", theirs.requests, ours.requests) +
		row("failed", theirs.failed, ours.failed) +
		row("longest wait", rounded(theirs.longest), rounded(ours.longest)) +
		row("waits over "+longWait.String(), theirs.waits, ours.waits) +
		row("STS calls", len(d.calls(d.theirs)), len(d.calls(d.ours))) +
		fmt.Sprintf("\nLifetime %v, then %v; STS latency %v.\n", firstLifetime, lifetime, latency) +
		fmt.Sprintf("The outage took %s. It ended %s before the credentials\n", rounded(d.outage), rounded(d.remaining)) +
		"of irsakit expired; a longer one reaches its callers, too."
}

// rounded formats d with two or three digits.
func rounded(d time.Duration) string {
	unit := 10 * time.Microsecond
	if d >= time.Second {
		unit = 100 * time.Millisecond
	} else if d >= 10*time.Millisecond {
		unit = time.Millisecond
	}
	return d.Round(unit).String()
}
