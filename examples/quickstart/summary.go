package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/irsakit/irsakit/cache"
)

// status is the line that a live view keeps below the time line: what the
// credentials are, how much of their life is left, and what callers see.
func (s *show) status() string {
	const cells = 20
	now, seen := s.provider.Status(), s.callers.seen()
	colour := map[cache.State]string{cache.Fresh: green, cache.Stale: yellow}[now.State]
	if colour == "" {
		colour = red
	}
	left := max(0, time.Until(now.Expires))
	full := 0
	if whole := now.Expires.Sub(now.LastSuccess); whole > 0 {
		full = min(cells, int((cells*left+whole-1)/whole))
	}
	bar := s.screen.paint(colour, strings.Repeat("━", full)) + s.screen.paint(dim, strings.Repeat("─", cells-full))
	return fmt.Sprintf("         %s %s %.1f s left, %d calls, %d errors",
		s.screen.paint(colour, fmt.Sprintf("%-7s", now.State)), bar, left.Seconds(), seen.calls, seen.errors)
}

// showTable ends the show with what callers saw in all.
func (s *show) showTable() {
	seen, answered := s.callers.seen(), 0
	for _, call := range s.kit.STS.Calls() {
		if call.Err == "" {
			answered++
		}
	}
	row := func(name string, value any, remark string) string {
		return strings.TrimRight(fmt.Sprintf("  %-24s %9v  %s", name, value, remark), " ")
	}
	s.screen.print(
		"",
		fmt.Sprintf("What %d callers saw in %v:", crowd, short(s.screen.at(time.Now()))),
		row("calls", seen.calls, ""),
		row("first wait", short(seen.firstWait), "for STS, before there were credentials"),
		row("longest wait after it", short(seen.longestWait), fmt.Sprintf("STS takes %v", latency)),
		row("errors", seen.errors, ""),
		row("different credentials", seen.different, ""),
		row("STS calls answered", answered, "whatever the number of callers"),
	)
}

// short rounds d to what a reader wants to know.
func short(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond)
	default:
		return d.Round(time.Microsecond)
	}
}
