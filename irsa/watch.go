package irsa

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
	"weak"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/tokenfile"
)

// pollInterval is the polling interval of the token file. The kubelet rotates a token at 80% of its
// lifetime, so the old one remains valid for two more minutes even with the minimum lifetime of 600 s.
// After a failed exchange the interval is failingInterval.
const (
	pollInterval    = time.Minute
	failingInterval = time.Second
)

// watch polls a token file in a separate goroutine, through the source that the exchanges use, so
// that a token is in memory only once. It only triggers retries and events: every exchange reads the
// file itself.
type watch struct {
	mu      sync.Mutex
	stopped bool
	done    chan struct{} // closed by stop; nil if the goroutine has not been started
	ended   chan struct{}
	recheck chan struct{}
}

// tokenHandler receives the tokens that a watch reads.
type tokenHandler interface {
	failing() bool                                   // reports whether the last exchange failed
	handleToken(token tokenfile.Token, changed bool) // changed reports whether the token differs from the last one
}

// start starts the watch of the token file of c, unless it is running or stopped or there is no file.
// get returns the handler, or nil after it has been collected. It must refer to the handler weakly.
// The watch ends soon after get returns nil.
func (w *watch) start(c *config.Config, get func() tokenHandler) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped || w.done != nil || c.TokenFile == "" {
		return
	}
	w.done, w.ended, w.recheck = make(chan struct{}), make(chan struct{}), make(chan struct{}, 1)
	poller := tokenPoller{source: c.Token, get: get, done: w.done, recheck: w.recheck}
	go poller.run(w.ended)
}

// tokenPoller is the goroutine of a watch.
type tokenPoller struct {
	source        config.TokenSource
	get           func() tokenHandler
	done, recheck <-chan struct{}
}

// run passes the tokens of the source to the handler: each new one, and the same one again after an
// error.
func (p *tokenPoller) run(ended chan<- struct{}) {
	defer close(ended)
	var last tokenfile.Token
	failed := false
	for p.wait() {
		token, err := p.source.Token(context.Background()) // reads a file
		changed := err == nil && token != last && token.Reveal() != last.Reveal()
		if h := p.get(); h != nil && err == nil && (changed || failed) {
			h.handleToken(token, changed)
		}
		if failed = err != nil; !failed { // the exchange reports it
			last = token
		}
	}
}

// wait waits until the next poll is due, and reports whether there is one.
func (p *tokenPoller) wait() bool {
	interval := pollInterval
	switch h := p.get(); {
	case h == nil:
		return false
	case h.failing():
		interval = failingInterval
	}
	timer := time.NewTimer(interval)
	defer timer.Stop()
	select {
	case <-p.done:
		return false
	case <-p.recheck:
	case <-timer.C:
	}
	return true
}

// startWatch starts the watch of p's token file, or the one of its Pool.
func (p *Provider) startWatch() {
	if p.pool != nil {
		p.pool.startWatch()
		return
	}
	provider := weak.Make(p)
	p.watch.start(p.config, func() tokenHandler {
		if p := provider.Value(); p != nil {
			return p
		}
		return nil
	})
}

func (p *Provider) failing() bool { return p.cache.Status().Failures > 0 }

// handleToken handles a token read from the file. It wakes the cache if the last exchange may have
// failed because of the old token. It requests a refresh if the new token has another issuer
// or subject.
func (p *Provider) handleToken(token tokenfile.Token, changed bool) {
	used := p.state.UsedToken.Load()
	inUse := used != nil && used.Reveal() == token.Reveal()
	if used != nil && !inUse || errors.Is(kindOfCache(p.cache.Status().Err), ErrTokenFile) {
		p.cache.Wake()
	}
	if inUse || !changed {
		return
	}
	p.state.NewestToken.Store(&token)
	claims := token.Claims()
	p.log(slog.LevelDebug, "web identity token rotated", "role", p.config.RoleARN, "token_expiry", claims.Expiry)
	rotated := Event{Kind: EventTokenRotated, Time: time.Now(), Status: p.Status()}
	p.event(func() Event { return rotated })
	if used != nil && p.cache.Status().Failures == 0 &&
		(used.Claims().Issuer != claims.Issuer || used.Claims().Subject != claims.Subject) {
		done, cancel := context.WithCancel(context.Background())
		cancel()
		_ = p.cache.Refresh(done) // starts the refresh without waiting; its result is logged as usual
	}
}

// pollNow makes the watch read the file immediately, and then poll it at the interval for the
// handler's current state.
func (w *watch) pollNow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.recheck <- struct{}{}:
	default: // already requested, or not running
	}
}

// stop stops the watch. It returns a channel that is closed when the goroutine has ended.
func (w *watch) stop() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done == nil {
		none := make(chan struct{})
		close(none)
		w.stopped = true
		return none
	}
	if !w.stopped {
		w.stopped = true
		close(w.done)
	}
	return w.ended
}
