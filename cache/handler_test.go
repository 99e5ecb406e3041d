package cache_test

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
)

// handler is a slog.Handler that runs functions and records the messages.
type handler struct {
	enabled, handle func()

	mu       sync.Mutex
	messages []string
}

func (h *handler) Enabled(context.Context, slog.Level) bool { h.enabled(); return true }
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	h.messages = append(h.messages, r.Message)
	h.mu.Unlock()
	h.handle()
	return nil
}
func (h *handler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *handler) WithGroup(string) slog.Handler      { return h }

func TestCacheSurvivesPanicOrGoexitInLogHandler(t *testing.T) {
	nothing, fail := func() {}, func() { panic("handler") }
	for name, h := range map[string]*handler{
		"panics in Handle":  {enabled: nothing, handle: fail},
		"panics in Enabled": {enabled: fail, handle: nothing},
		"exits in Handle":   {enabled: nothing, handle: runtime.Goexit},
		"exits in Enabled":  {enabled: runtime.Goexit, handle: nothing},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{lifetime: time.Hour}
				c := newCache(t, s, func(o *cache.Options) {
					o.Logger = slog.New(h)
					o.Observe = func(cache.Event) { panic("observer") } // the panic is logged
				})
				retrieve(t, c)
				s.setError(errBroken)
				require.Error(t, c.Refresh(t.Context()))
				s.setError(nil)
				require.NoError(t, c.Refresh(t.Context()))
				require.NoError(t, c.Close())
				if strings.HasSuffix(name, "Handle") {
					assert.ElementsMatch(t, []string{
						"credentials refresh failed", "credentials refresh recovered",
						"credentials observer panicked", "credentials observer panicked", "credentials observer panicked",
					}, h.messages)
				}
			})
		})
	}
}
