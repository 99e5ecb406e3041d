package irsa_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/tokenfile"
)

// userCode is a TokenSource, an error and a context. Each method calls a function.
type userCode struct {
	context.Context
	run func()
}

func (f *userCode) Identity() string { f.run(); return "user code" }
func (f *userCode) Token(context.Context) (tokenfile.Token, error) {
	f.run()
	return tokenfile.Token{}, (*userError)(f)
}

func (f *userCode) Done() <-chan struct{} { f.run(); return f.Context.Done() }
func (f *userCode) Err() error            { f.run(); return f.Context.Err() }
func (f *userCode) Value(key any) any     { f.run(); return f.Context.Value(key) }

type userError userCode

func (f *userError) Error() string   { f.run(); return "user code" }
func (f *userError) Is(error) bool   { f.run(); return false }
func (f *userError) As(any) bool     { f.run(); return false }
func (f *userError) Unwrap() []error { f.run(); return nil }

func TestPoolCallsUserCodeWithoutLock(t *testing.T) {
	t.Parallel()
	_, pod, _ := newTenants(t, 0)
	ended, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	f := &userCode{Context: ended, run: func() {}}
	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) {
		pod.Options(&o.Options)
		o.Observe = func(irsa.Event) { f.run() }
		o.Logger = slog.New(&handler{enabled: f.run, handle: f.run})
	})
	require.NoError(t, err)
	p, err := pool.Provider(irsa.RoleOptions{Token: f})
	require.NoError(t, err)
	derived, err := p.AssumeRole(pod.RoleARN())
	require.NoError(t, err)
	var inside atomic.Bool
	f.run = func() {
		if !inside.CompareAndSwap(false, true) {
			return
		}
		defer inside.Store(false)
		_, _ = pool.Provider(irsa.RoleOptions{Token: f})
		_, _ = p.AssumeRole(pod.RoleARN())
		pool.Status()
		for _, p := range []*irsa.Provider{p, derived} {
			_ = p.Healthy()
			_, _ = p.Retrieve(ended)
			_ = p.Refresh(ended)
			p.Invalidate(aws.Credentials{AccessKeyID: "AK"})
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, p := range []*irsa.Provider{p, derived} {
			assert.Error(t, p.Refresh(t.Context()))
			for _, ctx := range []context.Context{ended, f} {
				_, err := p.Retrieve(ctx)
				assert.Error(t, err)
				_, err = p.MinTTL(time.Minute).Retrieve(ctx)
				assert.Error(t, err)
				assert.Error(t, p.Refresh(ctx))
				assert.Error(t, p.WaitReady(ctx))
			}
		}
		_, err := pool.Provider(irsa.RoleOptions{Token: f})
		assert.NoError(t, err)
		assert.NoError(t, pool.Close())
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		require.FailNow(t, "deadlock")
	}
}

func TestDiagnoseCallsUserCodeWithoutLock(t *testing.T) {
	t.Parallel()
	_, pod := newPod(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		report := irsa.Diagnose(t.Context(), pod.Options, func(o *irsa.Options) {
			o.HTTPClient = doer(func(r *http.Request) (*http.Response, error) {
				trace := httptrace.ContextClientTrace(r.Context())
				return nil, &userError{run: func() {
					if trace != nil && trace.GotConn != nil {
						trace.GotConn(httptrace.GotConnInfo{})
					}
				}}
			})
		})
		assert.False(t, report.OK())
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		require.FailNow(t, "deadlock")
	}
}

// nilPointerError is an error whose methods panic on a nil pointer. A nil pointer in an error interface is
// not a nil error.
type nilPointerError struct{ err error }

func (e *nilPointerError) Error() string { return e.err.Error() }

func TestTokenSourceReturnsTypedNil(t *testing.T) {
	_, pod := newPod(t)
	options := func(o *irsa.Options) {
		o.TokenFile, o.Token = "", irsa.TokenFunc("cart", func(context.Context) (tokenfile.Token, error) {
			var err *nilPointerError
			return tokenfile.Token{}, err
		})
	}
	p := newProvider(t, pod.Options, options)
	require.ErrorIs(t, p.Refresh(t.Context()), irsa.ErrTokenFile)
	require.ErrorContains(t, p.Healthy(), "the token source panicked")

	noRegion := func(o *irsa.Options) { o.Region = "" } // it is derived from the token
	_, err := irsa.New(pod.Options, options, noRegion)
	require.ErrorIs(t, err, irsa.ErrNotConfigured)
	require.ErrorContains(t, errors.Unwrap(err), "the token source panicked")
	report := irsa.Diagnose(t.Context(), pod.Options, options, noRegion)
	assert.False(t, report.OK())
}

func TestErrorOfPanickingClientBlamesProgram(t *testing.T) {
	_, pod := newPod(t)
	p := newProvider(t, pod.Options, func(o *irsa.Options) {
		o.HTTPClient = doer(func(*http.Request) (*http.Response, error) { panic("client") })
	})
	err := p.Refresh(t.Context())
	require.ErrorIs(t, err, irsa.ErrUnavailable)
	assert.ErrorContains(t, err, "the STS client panicked: client")
	assert.ErrorContains(t, err, "correct the program's own token function, HTTP client or STS client")
}

func TestDiagnoseReportsPanicOfProxyFunction(t *testing.T) {
	_, pod := newPod(t)
	for name, proxy := range map[string]func(*http.Request) (*url.URL, error){
		"panics":           func(*http.Request) (*url.URL, error) { panic("no proxy") },
		"changes a header": func(r *http.Request) (*url.URL, error) { r.Header.Set("X-Proxy", "none"); return nil, assert.AnError },
	} {
		set := func(o *irsa.Options) { o.HTTPClient = &http.Client{Transport: &http.Transport{Proxy: proxy}} }
		assert.NotPanics(t, func() { assert.False(t, irsa.Diagnose(t.Context(), pod.Options, set).OK()) }, name)
	}
}

func TestProviderLogsPanicOfObserverWithoutToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		_, pod := newPod(t)
		p := newProvider(t, pod.Options, func(o *irsa.Options) {
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
			o.Observe = func(irsa.Event) { panic("cannot report " + pod.Token()) }
		})
		retrieve(t, p)
		require.NoError(t, p.Close())
		assert.Contains(t, log.String(), "cannot report [redacted]")
		requireNoSecret(t, log.String(), pod.Token())
	})
}
