package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/irsakit/irsakit/cache"
)

// status returns the status line of a live view: the state and the remaining lifetime of
// the credentials, and the calls so far.
func (d *demo) status() string {
	const cells = 20
	now, seen := d.provider.Status(), d.callers.stats()
	color := map[cache.State]string{cache.Fresh: green, cache.Stale: yellow}[now.State]
	if color == "" {
		color = red
	}
	remaining := max(0, time.Until(now.Expires))
	full := 0
	if lifetime := now.Expires.Sub(now.LastSuccess); lifetime > 0 {
		full = min(cells, int((cells*remaining+lifetime-1)/lifetime))
	}
	bar := d.screen.paint(color, strings.Repeat("━", full)) + d.screen.paint(dim, strings.Repeat("─", cells-full))
	return fmt.Sprintf("         %s %s %.1f s left, %d calls, %d errors",
		d.screen.paint(color, fmt.Sprintf("%-7s", now.State)), bar, remaining.Seconds(), seen.calls, seen.errors)
}

// printSummary prints what callers observed during all steps.
func (d *demo) printSummary() {
	seen, answered := d.callers.stats(), 0
	for _, call := range d.kit.STS.Calls() {
		if call.Err == "" {
			answered++
		}
	}
	row := func(name string, value any, remark string) string {
		return strings.TrimRight(fmt.Sprintf("  %-24s %9v  %s", name, value, remark), " ")
	}
	d.screen.print(
		"",
		fmt.Sprintf("What %d callers saw in %v:", numCallers, rounded(d.screen.offset(time.Now()))),
		row("calls", seen.calls, ""),
		row("first wait", rounded(seen.firstWait), "for STS, before there were credentials"),
		row("longest wait after it", rounded(seen.longestWait), fmt.Sprintf("STS takes %v", latency)),
		row("errors", seen.errors, ""),
		row("different credentials", seen.distinct, ""),
		row("STS calls answered", answered, "whatever the number of callers"),
	)
}

// rounded rounds d for display.
func rounded(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond)
	default:
		return d.Round(time.Microsecond)
	}
}
