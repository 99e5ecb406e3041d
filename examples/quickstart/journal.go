package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// journal is a slog.Handler that puts what the library logs into the time line: the
// message, and below it each attribute.
type journal struct {
	screen *screen
	attrs  []slog.Attr
	lines  *lines
}

// lines counts log lines by their level.
type lines struct {
	mu    sync.Mutex
	count map[slog.Level]int
}

func newJournal(s *screen) *journal {
	return &journal{screen: s, lines: &lines{count: map[slog.Level]int{}}}
}

// count returns how many lines of that level there were.
func (j *journal) count(level slog.Level) int {
	j.lines.mu.Lock()
	defer j.lines.mu.Unlock()
	return j.lines.count[level]
}

func (j *journal) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

func (j *journal) Handle(_ context.Context, r slog.Record) error {
	var texts []string
	add := func(a slog.Attr) bool {
		value := a.Value.Resolve()
		text := value.String()
		if value.Kind() == slog.KindTime {
			text = fmt.Sprintf("%.1f s", j.screen.at(value.Time()).Seconds())
		}
		texts = append(texts, strings.ReplaceAll(a.Key, "_", " ")+": "+text)
		return true
	}
	for _, a := range j.attrs {
		add(a)
	}
	r.Attrs(add)
	j.screen.logged(r.Level, r.Message, texts)

	j.lines.mu.Lock()
	defer j.lines.mu.Unlock()
	j.lines.count[r.Level]++
	return nil
}

func (j *journal) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &journal{screen: j.screen, lines: j.lines, attrs: append(j.attrs[:len(j.attrs):len(j.attrs)], attrs...)}
}

func (j *journal) WithGroup(string) slog.Handler { return j }

// wrap breaks text between words into lines of at most so many characters, where
// its words are not longer.
func wrap(text string, most int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > most {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}
