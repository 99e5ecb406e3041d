package irsa_test

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// handler is a slog.Handler that runs a function before each record and collects the messages.
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

// count returns how many lines begin with text.
func (h *handler) count(text string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, message := range h.messages {
		if strings.HasPrefix(message, text) {
			n++
		}
	}
	return n
}

func forEachBadHandler(t *testing.T, test func(t *testing.T, h *handler, isHandled bool)) {
	t.Setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy") // New logs a warning about it
	nothing, fail := func() {}, func() { panic("handler") }
	for name, h := range map[string]*handler{
		"panics in Handle":  {enabled: nothing, handle: fail},
		"panics in Enabled": {enabled: fail, handle: nothing},
		"exits in Handle":   {enabled: nothing, handle: runtime.Goexit},
		"exits in Enabled":  {enabled: runtime.Goexit, handle: nothing},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, h, strings.HasSuffix(name, "Handle")) })
		})
	}
}

// A handler can send its lines to a service one at a time, using the very credentials that the lines
// are about.
func TestRejectionIsLoggedByHandlerThatSendsLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod := newPod(t)
		send, lock := func() {}, make(chan struct{}, 1)
		h := &handler{enabled: func() {}, handle: func() {
			lock <- struct{}{}
			send()
			<-lock
		}}
		p := newProvider(t, pod.Options, func(o *irsa.Options) { o.Logger = slog.New(h) })
		client := rejecting("ExpiredToken").client(p.AWSConfig(), "logs.example")
		send = func() { assert.Error(t, identify(t.Context(), client)) }
		retrieve(t, p)
		time.Sleep(2 * time.Minute)
		written := make(chan struct{})
		go func() {
			defer close(written)
			slog.New(h).Info("application")
		}()
		select {
		case <-written:
		case <-time.After(time.Minute):
			require.FailNow(t, "deadlock")
		}
		synctest.Wait()
		assert.Equal(t, 2, h.count("credentials rejected by a service"), "the old key and the new one")
		assert.Equal(t, 1, h.count("application"))
	})
}

func TestProviderSurvivesPanicOrExitInLogHandler(t *testing.T) {
	forEachBadHandler(t, func(t *testing.T, h *handler, isHandled bool) {
		_, pod := newPod(t)
		var rotated atomic.Int32
		p := newProvider(t, pod.Options, func(o *irsa.Options) {
			o.Logger = slog.New(h)
			o.Observe = func(e irsa.Event) {
				if e.Kind == irsa.EventTokenRotated {
					rotated.Add(1)
					panic("observer") // is logged
				}
			}
		})
		retrieve(t, p)
		for range 3 {
			pod.Rotate()
			time.Sleep(2 * time.Minute)
		}
		assert.EqualValues(t, 3, rotated.Load(), "the watch continues")
		if isHandled {
			assert.Equal(t, 1, h.count("irsa: AWS_STS_REGIONAL_ENDPOINTS"))
			assert.Equal(t, 3, h.count("web identity token rotated"))
			assert.Equal(t, 3, h.count("credentials observer panicked"))
		}
	})
}

func TestPoolSurvivesPanicOrExitInLogHandler(t *testing.T) {
	forEachBadHandler(t, func(t *testing.T, h *handler, isHandled bool) {
		_, pod, tenants := newTenants(t, 3)
		p := newPool(t, pod, func(o *irsa.PoolOptions) { o.Logger = slog.New(h) })
		pod.Rotate(irsatest.Invalid("expired"))
		for _, tenant := range tenants {
			_, err := pooled(t, p, tenant).Retrieve(t.Context())
			require.ErrorIs(t, err, irsa.ErrTokenExpired)
		}
		time.Sleep(time.Minute) // no caller, so no attempt
		pod.Rotate()
		time.Sleep(3 * time.Second)
		assert.Zero(t, p.Status().Failing, "every role is woken")
		if isHandled {
			assert.Equal(t, 1, h.count("irsa: AWS_STS_REGIONAL_ENDPOINTS"))
			assert.GreaterOrEqual(t, h.count("web identity token rotated"), 3)
		}
	})
}

// A new token must be used in time even if the handler is slow or hangs, for example on a full pipe.
func TestPoolRotationDoesNotWaitForLogHandler(t *testing.T) {
	for name, delay := range map[string]time.Duration{"slow": 2 * time.Second, "hung": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, pod, tenants := newTenants(t, 3)
				end := make(chan struct{})
				defer close(end)
				h := &handler{enabled: func() {}, handle: func() {
					select {
					case <-time.After(delay):
					case <-end:
					}
				}}
				p := newPool(t, pod, func(o *irsa.PoolOptions) { o.Logger = slog.New(h) })
				for _, tenant := range tenants {
					retrieve(t, pooled(t, p, tenant))
				}
				for range 2 {
					pod.Rotate()
					time.Sleep(2 * time.Minute)
					pod.Rotate(irsatest.Invalid("expired"))
					for _, tenant := range tenants {
						require.ErrorIs(t, pooled(t, p, tenant).Refresh(t.Context()), irsa.ErrTokenExpired)
					}
					time.Sleep(time.Minute)
					pod.Rotate()
					time.Sleep(2 * time.Second)
					require.Zero(t, p.Status().Failing, "every role is woken")
				}
				assert.Positive(t, h.count("web identity token rotated"))
			})
		})
	}
}

// A program can set its default logger after creating the Provider.
func TestProviderUsesDefaultLoggerAtTimeOfMessage(t *testing.T) {
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		p := newProvider(t, pod.Options)
		h := &handler{enabled: func() {}, handle: func() {}}
		slog.SetDefault(slog.New(h))
		retrieve(t, p)
		k.STS.Down()
		time.Sleep(time.Minute)
		require.Error(t, p.Refresh(t.Context()))
		require.Error(t, identify(t.Context(), rejecting("ExpiredToken").client(p.AWSConfig(), "bad.example")))
		synctest.Wait()
		assert.Equal(t, 1, h.count("credentials refresh failed"))
		assert.Equal(t, 1, h.count("credentials rejected by a service"))
	})
}
