package cache

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/schedule"
)

// Parameters of the model. The lifetime is short compared with the backoff, so that few events lead to
// every phase.
const (
	modelLifetime = time.Minute
	modelTimeout  = 5 * time.Second
	modelMinTTL   = 20 * time.Second
	modelMinAge   = 10 * time.Second
)

// model is a Cache with a source that the events control, and the state needed to check the promises.
// All random numbers are 0.5.
type model struct {
	cache     *Cache
	mu        sync.Mutex                           // guards the model; held by the goroutine of the test, except while it waits
	results   chan func() (aws.Credentials, error) // ends the running call of the source
	view      aws.CredentialsProvider              // created on first use
	caller    chan error                           // receives the result of the waiting caller; nil if there is none
	leave     context.CancelFunc                   // ends the context of the waiting caller
	autopilot bool                                 // the source succeeds immediately
	closed    chan error                           // receives the result of Close; nil before Close
	violation error                                // the first promise that was broken

	calls, running int
	awaits         bool            // a call to the source is waiting for its result
	woken          bool            // Wake was called since the last start
	requested      bool            // Refresh, Replace or a view may have requested an attempt since the last start
	started        schedule.Moment // when the last attempt started
	withdrawn      schedule.Moment // when the last attempt after Invalidate started; initially Never
	failures       int
	failedAt       schedule.Moment // when the last attempt failed
	limit          time.Time       // when the running attempt becomes overdue
	overdue        bool            // the running attempt has been counted as failed
	grant          *grant          // the served credentials, or nil
	creds          aws.Credentials // as the source returned them
}

func newModel() *model {
	m := &model{results: make(chan func() (aws.Credentials, error)), withdrawn: schedule.Never()}
	m.cache = New(aws.CredentialsProviderFunc(m.source), func(o *Options) {
		o.AttemptTimeout, o.Logger = modelTimeout, slog.New(slog.DiscardHandler)
	})
	m.cache.random = func() float64 { return 0.5 }
	m.mu.Lock()
	return m
}

// source is the Retrieve function of the source. It ignores its context.
func (m *model) source(context.Context) (aws.Credentials, error) {
	if !m.begin() {
		return (<-m.results)()
	}
	time.Sleep(time.Millisecond) // callers get the result of the previous attempt
	return m.end(m.succeed)
}

// begin records the start of an attempt. It reports whether the source succeeds immediately.
func (m *model) begin() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	m.running++
	m.require(m.running == 1, "two attempts at the same time")
	m.require(m.closed == nil, "an attempt after Close")
	m.checkSpacing()
	m.started, m.woken, m.requested = m.cache.now(), false, false
	m.limit, m.awaits = time.Now().Add(modelTimeout+grace), !m.autopilot
	return m.autopilot
}

// end records the end of the running attempt and returns its result.
func (m *model) end(result func() (aws.Credentials, error)) (aws.Credentials, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.awaits = false
	m.running--
	return result()
}

// backoff returns the shortest time between the last failure and the next attempt.
func (m *model) backoff() time.Duration { return schedule.RetryAfter(m.failures, 0, false, 0, 0).Empty }

// succeed returns new credentials and records them.
func (m *model) succeed() (aws.Credentials, error) {
	m.creds = aws.Credentials{AccessKeyID: fmt.Sprintf("AK%d", m.calls), SecretAccessKey: "secret", CanExpire: true, Expires: time.Now().Add(modelLifetime)}
	m.grant = &grant{end: m.cache.now().Add(modelLifetime), lifetime: modelLifetime}
	m.failures = 0
	return m.creds, nil
}

// finish ends the running call to the source.
func (m *model) finish(result func() (aws.Credentials, error)) {
	m.results <- func() (aws.Credentials, error) { return m.end(result) }
	m.wait()
	m.overdue = false
}

func (m *model) fail() (aws.Credentials, error) {
	if !m.overdue {
		m.failures, m.failedAt = m.failures+1, m.cache.now()
	}
	return aws.Credentials{}, errStress
}

// repeat returns the last credentials again, which is a failure if they have expired or were
// withdrawn.
func (m *model) repeat() (aws.Credentials, error) {
	if m.grant == nil || m.grant.ended(m.cache.now(), 0) {
		_, _ = m.fail()
		return m.creds, nil
	}
	m.grant.again = true
	m.failures = 0
	return m.creds, nil
}

// retrieve simulates a caller that waits in Retrieve until it gets a result or gives up.
func (m *model) retrieve() {
	ctx, cancel := context.WithCancel(context.Background())
	answer := make(chan error, 1)
	m.caller, m.leave = answer, cancel
	go func() {
		creds, err := m.cache.Retrieve(ctx)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.checkResult(creds, err, 0)
		answer <- err
	}()
	m.wait()
	m.removeAnsweredCaller()
}

func (m *model) removeAnsweredCaller() {
	if len(m.caller) > 0 {
		m.leave()
		m.caller = nil
	}
}

// discard ends everything that the model started.
func (m *model) discard() {
	m.autopilot = true
	if m.awaits {
		m.finish(m.succeed)
	}
	if m.closed == nil {
		_ = m.close()
	}
	if m.caller != nil {
		m.leave()
	}
	m.pass(time.Second)
}

// close closes the Cache without waiting for the running call to the source.
func (m *model) close() error {
	m.closed = make(chan error, 1)
	go func() { m.closed <- m.cache.Close() }()
	m.wait()
	return nil
}

// ended is a context that is done.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()
