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

// width is that of the narrowest terminal one meets.
const width = 80

// view is how the time line is shown.
type view struct {
	live   bool // with a status line that is rewritten in place
	colour bool
}

// viewOf is a live one for a terminal.
func viewOf(out io.Writer) view {
	file, ok := out.(*os.File)
	if !ok {
		return view{}
	}
	info, err := file.Stat()
	if err != nil {
		return view{}
	}
	return viewFor(info.Mode(), os.Getenv("TERM"), os.Getenv("NO_COLOR"))
}

func viewFor(mode fs.FileMode, term, noColour string) view {
	live := mode&fs.ModeCharDevice != 0 && term != "" && term != "dumb"
	return view{live: live, colour: live && noColour == ""}
}

// What a terminal does on these (ECMA-48, and DEC's private mode 7).
const (
	toStart = "\r\x1b[K" // go to the start of the line and clear it
	noWrap  = "\x1b[?7l" // cut a line that is too long
	rewrap  = "\x1b[?7h" // wrap it, as usual
	bold    = "\x1b[1m"
	dim     = "\x1b[2m"
	red     = "\x1b[31m"
	green   = "\x1b[32m"
	yellow  = "\x1b[33m"
	cyan    = "\x1b[36m"
	plain   = "\x1b[0m"
)

// screen shows a time line that grows, and in a live view a status line below it.
type screen struct {
	out   io.Writer
	view  view
	began time.Time

	mu     sync.Mutex
	status string // what the status line says, if there is one
}

func newScreen(out io.Writer, v view) *screen {
	return &screen{out: out, view: v, began: time.Now()}
}

// at is where t is on the time line.
func (s *screen) at(t time.Time) time.Duration { return t.Sub(s.began) }

// event tells what the show does to the pod.
func (s *screen) event(format string, args ...any) {
	s.entry(s.paint(bold, "▸ "+fmt.Sprintf(format, args...)))
}

// claim tells what has happened then, as promised.
func (s *screen) claim(format string, args ...any) {
	s.entry(s.paint(green, "✓ ") + fmt.Sprintf(format, args...))
}

// logged shows a line of the log, and its attributes below it.
func (s *screen) logged(level slog.Level, message string, attrs []string) {
	colour := cyan
	if level >= slog.LevelWarn {
		colour = yellow
	}
	lines := []string{s.paint(colour, fmt.Sprintf("  %v %s", level, message))}
	for _, attr := range attrs {
		for i, line := range wrap(attr, width-15) {
			indent := 13 + 2*min(i, 1)
			lines = append(lines, strings.Repeat(" ", indent)+s.paint(dim, line))
		}
	}
	s.entry(lines...)
}

// entry puts lines on the time line, now.
func (s *screen) entry(lines ...string) {
	lines[0] = fmt.Sprintf("%5.1f s  %s", s.at(time.Now()).Seconds(), lines[0])
	s.print(lines...)
}

// print puts lines above the status line.
func (s *screen) print(lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := strings.Join(lines, "\n") + "\n"
	if s.view.live {
		text = toStart + text + s.inPlace()
	}
	_, _ = io.WriteString(s.out, text)
}

// follow keeps the status line of a live view up to date until ctx ends, and then
// removes it.
func (s *screen) follow(ctx context.Context, status func() string) {
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
	_, _ = io.WriteString(s.out, toStart+s.inPlace())
}

// inPlace is the status line, which must stay one line to be rewritten.
func (s *screen) inPlace() string {
	if s.status == "" {
		return ""
	}
	return noWrap + s.status + rewrap
}

func (s *screen) paint(style, text string) string {
	if !s.view.colour {
		return text
	}
	return style + text + plain
}
