package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// logHandler is a slog.Handler that prints log records on the timeline: the message, and
// the attributes on the lines below.
type logHandler struct {
	screen *screen
	attrs  []slog.Attr
	counts *levelCounts
}

// levelCounts counts log records by level.
type levelCounts struct {
	mu    sync.Mutex
	count map[slog.Level]int
}

func newLogHandler(s *screen) *logHandler {
	return &logHandler{screen: s, counts: &levelCounts{count: map[slog.Level]int{}}}
}

// count returns the number of records with the given level.
func (h *logHandler) count(level slog.Level) int {
	h.counts.mu.Lock()
	defer h.counts.mu.Unlock()
	return h.counts.count[level]
}

func (h *logHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	var texts []string
	add := func(a slog.Attr) bool {
		value := a.Value.Resolve()
		text := value.String()
		switch value.Kind() {
		case slog.KindTime:
			text = fmt.Sprintf("%.1f s", h.screen.offset(value.Time()).Seconds())
		case slog.KindGroup: // an irsa.Error
			text = value.Group()[0].Value.String()
		}
		texts = append(texts, strings.ReplaceAll(a.Key, "_", " ")+": "+text)
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	h.screen.logRecord(r.Level, r.Message, texts)

	h.counts.mu.Lock()
	defer h.counts.mu.Unlock()
	h.counts.count[r.Level]++
	return nil
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{screen: h.screen, counts: h.counts, attrs: append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

func (h *logHandler) WithGroup(string) slog.Handler { return h }

// wrap breaks text between words into lines of at most limit bytes. A longer word has a line
// of its own.
func wrap(text string, limit int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > limit {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}
