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

// pollInterval is how often the token file is polled. The kubelet rotates a token at 80% of its
// lifetime, so the old token remains valid for two more minutes even with the minimum lifetime of 10
// minutes. After a failed exchange, the file is polled every failingInterval instead.
const (
	pollInterval    = time.Minute
	failingInterval = time.Second
)

// watch polls a token file in its own goroutine. It only triggers retries and events; every exchange
// reads the file itself.
type watch struct {
	mu      sync.Mutex
	stopped bool
	cancel  context.CancelFunc // nil if the goroutine has not been started
	ended   chan struct{}
	recheck chan struct{}
}

// tokenHandler receives the tokens that a watch reads.
type tokenHandler interface {
	failing() bool // reports whether the last exchange failed
	handleToken(tokenfile.Token)
}

// start starts watching c's token file. It is a no-op if the watch is running or stopped, or if there
// is no file. known is the token that the handler has already used, or nil. get returns the handler,
// or nil once it has been garbage collected, so it must refer to the handler weakly. The watch ends
// soon after get returns nil.
func (w *watch) start(c *config.Config, known *tokenfile.Token, get func() tokenHandler) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped || w.cancel != nil || c.TokenFile == "" {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended, recheck := make(chan struct{}), make(chan struct{}, 1)
	w.cancel, w.ended, w.recheck = cancel, ended, recheck
	tokens := tokenfile.Watch(ctx, c.TokenFile, func(o *tokenfile.WatchOptions) {
		if known != nil {
			o.Known = *known
		}
		o.Recheck = recheck
		o.Interval = func() time.Duration {
			switch h := get(); {
			case h == nil:
				cancel()
			case h.failing():
				return failingInterval
			}
			return pollInterval
		}
	})
	go func() {
		defer close(ended)
		for token, err := range tokens {
			if h := get(); h != nil && err == nil { // errors are reported by the exchange
				h.handleToken(token)
			}
		}
	}()
}

// startWatch starts watching p's token file, or the token file of its Pool.
func (p *Provider) startWatch() {
	if p.pool != nil {
		p.pool.startWatch()
		return
	}
	provider := weak.Make(p)
	p.watch.start(p.config, p.state.UsedToken.Load(), func() tokenHandler {
		if p := provider.Value(); p != nil {
			return p
		}
		return nil
	})
}

func (p *Provider) failing() bool { return p.cache.Status().Failures > 0 }

// handleToken is called with each token read from the file. It wakes the cache if the last exchange
// may have failed because of the old token, and requests a refresh if the new one has a different
// issuer or subject.
func (p *Provider) handleToken(token tokenfile.Token) {
	newest := p.state.NewestToken.Load() // loaded first, so that used is non-nil if newest is
	used := p.state.UsedToken.Load()
	inUse := used != nil && used.Reveal() == token.Reveal()
	if used != nil && !inUse || errors.Is(kindOfCache(p.cache.Status().Err), ErrTokenFile) {
		p.cache.Wake()
	}
	if inUse || newest == nil || newest.Reveal() == token.Reveal() {
		return
	}
	p.state.NewestToken.Store(&token)
	claims := token.Claims()
	p.logLater(slog.LevelDebug, "web identity token rotated", "role", p.config.RoleARN, "token_expiry", claims.Expiry)
	rotated := Event{Kind: EventTokenRotated, Time: time.Now(), Status: p.Status()}
	p.event(func() Event { return rotated })
	if p.cache.Status().Failures == 0 &&
		(used.Claims().Issuer != claims.Issuer || used.Claims().Subject != claims.Subject) {
		_ = p.cache.Refresh(doneContext()) // its result is logged as usual
	}
}

// pollNow makes the watch poll the file immediately, and then at the interval for the handler's
// current state.
func (w *watch) pollNow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.recheck <- struct{}{}:
	default: // already requested, or not running
	}
}

// stop stops the watch. It returns a channel that is closed once the goroutine has ended.
func (w *watch) stop() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	if w.cancel == nil {
		none := make(chan struct{})
		close(none)
		return none
	}
	w.cancel()
	return w.ended
}
