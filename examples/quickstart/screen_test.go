package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// terminal is a fake terminal that records its input and the displayed lines.
type terminal struct {
	mu    sync.Mutex
	raw   strings.Builder
	lines []string
}

var escape = regexp.MustCompile(`^\x1b\[[?0-9;]*[A-Za-z]`)

func (term *terminal) Write(p []byte) (int, error) {
	term.mu.Lock()
	defer term.mu.Unlock()
	term.raw.Write(p)
	if len(term.lines) == 0 {
		term.lines = []string{""}
	}
	for text := string(p); text != ""; {
		last := len(term.lines) - 1
		code := escape.FindString(text)
		switch {
		case strings.HasPrefix(text, clearLine):
			term.lines[last] = ""
			text = text[len(clearLine):]
		case code != "": // colors and wrapping do not move the cursor
			text = text[len(code):]
		case text[0] == '\n':
			term.lines = append(term.lines, "")
			text = text[1:]
		default:
			term.lines[last] += text[:1]
			text = text[1:]
		}
	}
	return len(p), nil
}

func (term *terminal) shows() []string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return append([]string(nil), term.lines...)
}

func (term *terminal) received() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.raw.String()
}

func TestScreenKeepsStatusLineBelowTimeline(t *testing.T) {
	t.Parallel()
	var term terminal
	s := newScreen(&term, view{live: true, color: true})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	updates := 0
	go func() {
		defer close(ended)
		s.updateStatus(ctx, func() string { updates++; return "status " + strings.Repeat("I", updates) })
	}()
	last := func() string { lines := term.shows(); return append(lines, "")[max(0, len(lines)-1)] }

	require.Eventually(t, func() bool { return last() == "status II" }, time.Minute, time.Millisecond)
	s.event("an %s", "event")
	s.result("its result")

	lines := term.shows()
	require.Len(t, lines, 3)
	assert.Regexp(t, `^ +0\.\d s  ▸ an event$`, lines[0])
	assert.Regexp(t, `^ +0\.\d s  ✓ its result$`, lines[1])
	assert.Regexp(t, `^status I+$`, lines[2])
	assert.Contains(t, term.received(), green)

	cancel()
	<-ended
	assert.Empty(t, last(), "the status line is removed")
	assert.Equal(t, strings.Count(term.received(), wrapOff), strings.Count(term.received(), wrapOn), "the terminal wraps lines again")
}

func TestScreenShowsStatusLineWithoutColor(t *testing.T) {
	t.Parallel()
	var term terminal
	s := newScreen(&term, view{live: true})
	s.setStatus("fresh")
	s.result("a result")

	assert.Equal(t, "fresh", term.shows()[1])
	assert.NotRegexp(t, `\x1b\[\d*m`, term.received())
}

func TestStatusLineShowsCredentialsAndCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, _ := newDemo(t)
		assert.Equal(t, "         empty   ──────────────────── 0.0 s left, 0 calls, 0 errors", d.status())

		_, err := d.provider.Retrieve(t.Context())
		require.NoError(t, err)
		d.callers.record(false, 0, "ASIAEXAMPLEAAAA", nil)
		assert.Regexp(t, `^         fresh   ━{20} 35\d\d\.\d s left, 1 calls, 0 errors$`, d.status())

		require.NoError(t, d.provider.Close())
		assert.Contains(t, d.status(), "closed")
	})
}

func TestViewIsLiveOnlyOnTerminal(t *testing.T) {
	t.Parallel()
	device := fs.ModeDevice | fs.ModeCharDevice
	assert.Equal(t, view{live: true, color: true}, newView(device, "xterm-256color", ""))
	assert.Equal(t, view{live: true}, newView(device, "xterm-256color", "1"))
	assert.Equal(t, view{}, newView(device, "dumb", ""))
	assert.Equal(t, view{}, newView(device, "", ""))
	assert.Equal(t, view{}, newView(fs.ModeNamedPipe, "xterm-256color", ""))

	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer file.Close()
	assert.Equal(t, view{}, detectView(file))
	assert.Equal(t, view{}, detectView(&terminal{}))
}

func TestWrap(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"a long", "line"}, wrap("a long  line", 8))
	assert.Equal(t, []string{"unbreakable", "word"}, wrap("unbreakable word", 8))
	assert.Equal(t, []string{""}, wrap("", 8))
}
