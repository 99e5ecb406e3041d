package cache

import (
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/schedule"
)

// require records a violation if a promise is broken.
func (m *model) require(kept bool, format string, args ...any) {
	if !kept && m.violation == nil {
		m.violation = fmt.Errorf(format, args...)
	}
}

// checkSpacing checks that the attempt that starts now does not start too early.
func (m *model) checkSpacing() {
	now, s := m.cache.now(), m.cache.state.Load()
	spaced := m.calls == 1 || now.Since(m.started) >= schedule.Spacing
	switch {
	case m.failures > 0:
		m.require(now.Since(m.failedAt) >= m.backoff() || m.woken && spaced, "an attempt %v after failure %d", now.Since(m.failedAt), m.failures)
	case s.phase == withdrawn:
		first := m.withdrawn == schedule.Never() || now.Since(m.withdrawn) >= schedule.RejectionSpacing
		m.require(first || m.requested && spaced, "attempts after Invalidate %v apart", now.Since(m.withdrawn))
		m.withdrawn = now
	default:
		m.require(spaced, "attempts %v apart", now.Since(m.started))
	}
}

// checkResult checks the result of a caller's Retrieve.
func (m *model) checkResult(creds aws.Credentials, err error, minTTL time.Duration) {
	now := m.cache.now()
	if err == nil {
		m.require(m.grant != nil && creds.AccessKeyID == m.creds.AccessKeyID, "withdrawn or older credentials were served")
		if m.grant != nil {
			least, _ := m.grant.margins()
			m.require(!m.grant.ended(now, least+minTTL), "expired credentials were served")
		}
		return
	}
	m.require(!m.mustServe() || minTTL > 0 || m.closed != nil, "an error although there are valid credentials: %v", err)
}

// mustServe reports whether callers must be served.
func (m *model) mustServe() bool {
	if m.grant == nil {
		return false
	}
	_, most := m.grant.margins()
	return !m.grant.ended(m.cache.now(), most)
}

// check checks the promises that hold after each event.
func (m *model) check() {
	m.cache.mu.Lock()
	s, attempt := m.cache.state.Load(), m.cache.scheduler.attempt
	m.cache.mu.Unlock()
	m.removeAnsweredCaller()
	if m.awaits && m.closed == nil && !m.overdue && !time.Now().Before(m.limit) {
		m.require(attempt.progress == overdue, "an attempt exceeded its limit, but has not failed")
		m.failures, m.failedAt, m.overdue = m.failures+1, m.cache.now(), true
	}
	if m.caller != nil {
		m.require(!m.overdue, "a caller waits for an attempt that is overdue")
		m.require(!m.mustServe(), "a caller waits although there are valid credentials")
		m.require(m.closed == nil, "a caller waits although the Cache is closed")
		m.require(attempt != nil || s.due != schedule.Never(), "a caller waits, but no attempt is scheduled")
	}
	m.require(!m.awaits || attempt != nil, "an attempt is forgotten")
}

// finally checks that the Cache behaves as documented from its current state on, and closes it.
func (m *model) finally() {
	var creds aws.Credentials
	if m.cache.TryRetrieve(&creds) {
		m.require(m.closed == nil, "credentials were served after Close")
		m.checkResult(creds, nil, 0)
	} else {
		m.checkResult(creds, errors.New("none"), 0)
	}
	wasServing := m.closed == nil && m.mustServe()
	m.autopilot = true
	if m.awaits {
		m.finish(m.succeed)
	}
	if m.closed == nil {
		m.checkRecovery(wasServing)
		_ = m.close()
	}
	m.wait()
	calls := m.calls
	m.cache.Wake()
	_ = m.cache.Refresh(ended)
	_, err := m.cache.Retrieve(ended)
	m.require(errors.Is(err, ErrClosed), "after Close, Retrieve returned %v", err)
	m.pass(3 * modelLifetime)
	m.require(m.calls == calls, "an attempt after Close")
	m.require(len(m.closed) == 1, "Close has not returned")
}

// checkRecovery checks that the Cache obtains credentials from a working source, and keeps them
// fresh without callers.
func (m *model) checkRecovery(wasServing bool) {
	if wasServing {
		m.pass(modelLifetime)
		m.require(m.mustServe(), "credentials were not refreshed in time")
	}
	if m.caller != nil {
		m.pass(schedule.RejectionSpacing + time.Second)
		m.removeAnsweredCaller()
		m.require(m.caller == nil, "a caller was not answered")
	}
	for range 13 {
		_, err := m.cache.Retrieve(ended)
		m.wait()
		if err == nil {
			break
		}
		m.pass(5 * time.Second)
	}
	m.require(m.mustServe(), "no recovery")
	for range 2 {
		m.pass(modelLifetime)
		m.require(m.mustServe(), "credentials were not refreshed in time")
	}
}
