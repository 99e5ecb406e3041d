package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// width is the maximum line length, the width of the narrowest common terminal.
const width = 80

// view controls how the timeline is displayed.
type view struct {
	live  bool // with a status line that is rewritten in place
	color bool
}

// detectView returns a live view if out is a terminal.
func detectView(out io.Writer) view {
	file, ok := out.(*os.File)
	if !ok {
		return view{}
	}
	info, err := file.Stat()
	if err != nil {
		return view{}
	}
	return newView(info.Mode(), os.Getenv("TERM"), os.Getenv("NO_COLOR"))
}

func newView(mode fs.FileMode, term, noColor string) view {
	live := mode&fs.ModeCharDevice != 0 && term != "" && term != "dumb"
	return view{live: live, color: live && noColor == ""}
}

// Control sequences for terminals (ECMA-48, and DEC private mode 7).
const (
	clearLine = "\r\x1b[K" // go to the start of the line and clear it
	wrapOff   = "\x1b[?7l" // truncate long lines
	wrapOn    = "\x1b[?7h" // wrap long lines, the default
	bold      = "\x1b[1m"
	dim       = "\x1b[2m"
	red       = "\x1b[31m"
	green     = "\x1b[32m"
	yellow    = "\x1b[33m"
	cyan      = "\x1b[36m"
	plain     = "\x1b[0m"
)

// screen prints a timeline and, in a live view, a status line below it.
type screen struct {
	out   io.Writer
	view  view
	start time.Time

	mu     sync.Mutex
	status string // the text of the status line, or empty if there is none
}

func newScreen(out io.Writer, v view) *screen {
	return &screen{out: out, view: v, start: time.Now()}
}

// offset returns the position of t on the timeline.
func (s *screen) offset(t time.Time) time.Duration { return t.Sub(s.start) }

// event prints what the demo does to the pod.
func (s *screen) event(format string, args ...any) {
	s.entry(s.paint(bold, "▸ "+fmt.Sprintf(format, args...)))
}

// result prints an expected result that has occurred.
func (s *screen) result(format string, args ...any) {
	s.entry(s.paint(green, "✓ ") + fmt.Sprintf(format, args...))
}

// logRecord prints a log record, with its attributes on the lines below.
func (s *screen) logRecord(level slog.Level, message string, attrs []string) {
	color := cyan
	if level >= slog.LevelWarn {
		color = yellow
	}
	lines := []string{s.paint(color, fmt.Sprintf("  %v %s", level, message))}
	for _, attr := range attrs {
		for i, line := range wrap(attr, width-15) {
			indent := 13 + 2*min(i, 1)
			lines = append(lines, strings.Repeat(" ", indent)+s.paint(dim, line))
		}
	}
	s.entry(lines...)
}

// entry prints lines on the timeline, with the current time.
func (s *screen) entry(lines ...string) {
	lines[0] = fmt.Sprintf("%5.1f s  %s", s.offset(time.Now()).Seconds(), lines[0])
	s.print(lines...)
}

// print prints lines above the status line.
func (s *screen) print(lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := strings.Join(lines, "\n") + "\n"
	if s.view.live {
		text = clearLine + text + s.statusLine()
	}
	_, _ = io.WriteString(s.out, text)
}

// updateStatus keeps the status line of a live view up to date until ctx is done. It then
// removes the line.
func (s *screen) updateStatus(ctx context.Context, status func() string) {
	if !s.view.live {
		return
	}
	defer s.setStatus("")
	next := time.NewTicker(100 * time.Millisecond)
	defer next.Stop()
	for {
		s.setStatus(status())
		select {
		case <-next.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *screen) setStatus(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = text
	_, _ = io.WriteString(s.out, clearLine+s.statusLine())
}

// statusLine returns the status line with its control sequences. The terminal must not wrap
// it, because only a single line can be rewritten.
func (s *screen) statusLine() string {
	if s.status == "" {
		return ""
	}
	return wrapOff + s.status + wrapOn
}

func (s *screen) paint(style, text string) string {
	if !s.view.color {
		return text
	}
	return style + text + plain
}
