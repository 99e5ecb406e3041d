package irsa

import (
	"context"
	"errors"
	"sync"
	"time"
	"weak"

	"github.com/irsakit/irsakit/tokenfile"
)

// While the last exchange failed the token file is looked at this often, otherwise
// as often as [tokenfile.Watch] does by itself.
const failingInterval = time.Second

// watch follows the token file in a goroutine of its own. It is a nudge only: every
// exchange reads the file itself.
type watch struct {
	mu      sync.Mutex
	stopped bool
	cancel  context.CancelFunc // nil where none runs
	ended   chan struct{}
	recheck chan struct{}
}

// follow starts the watch of p's token file if there is one and it does not run
// yet. The watch does not hold p: it ends soon after p has been collected.
func (p *Provider) follow() {
	p.watch.mu.Lock()
	defer p.watch.mu.Unlock()
	if p.watch.stopped || p.watch.cancel != nil || p.settings.TokenFile == "" {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.watch.cancel = cancel
	p.watch.ended = make(chan struct{})
	p.watch.recheck = make(chan struct{}, 1)
	go followFile(ctx, p.settings.TokenFile, weak.Make(p), p.watch.recheck, p.watch.ended)
}

func followFile(ctx context.Context, path string, provider weak.Pointer[Provider], recheck <-chan struct{}, ended chan<- struct{}) {
	defer close(ended)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tokens := tokenfile.Watch(ctx, path, func(o *tokenfile.WatchOptions) {
		o.Recheck = recheck
		o.Interval = func() time.Duration {
			p := provider.Value()
			switch {
			case p == nil:
				cancel()
			case p.cache.Status().Failures > 0:
				return failingInterval
			}
			return 0
		}
	})
	var seen tokenfile.Token
	for token, err := range tokens {
		if err != nil {
			continue // the exchange will meet it too
		}
		if p := provider.Value(); p != nil {
			p.found(token, token.Reveal() != seen.Reveal())
		}
		seen = token
	}
}

// found is told of the token that the file holds, after another one or after none.
// It matters where the last exchange failed, or where the token is somebody else's.
func (p *Provider) found(token tokenfile.Token, another bool) {
	used := p.exchange.used.Load()
	known := used != nil && used.Reveal() == token.Reveal()
	if !known || errors.Is(p.cache.Status().Err, ErrTokenFile) {
		p.cache.Wake()
	}
	if known || !another {
		return
	}
	claims := token.Claims()
	p.settings.Logger.Debug("web identity token rotated", "role", p.settings.RoleARN, "token_expiry", claims.Expiry)
	event := Event{Kind: Rotated, Time: time.Now(), Status: p.Status()}
	event.Status.TokenExpiry = claims.Expiry
	p.tell(event)
	if used != nil && p.cache.Status().Failures == 0 &&
		(used.Claims().Issuer != claims.Issuer || used.Claims().Subject != claims.Subject) {
		ended, end := context.WithCancel(context.Background())
		end()
		_ = p.cache.Refresh(ended) // asks for it only: what comes of it is reported as ever
	}
}

// look makes the watch look at the file now, and from then on as often as the state
// of the cache asks for.
func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.recheck <- struct{}{}:
	default: // it has been told, or does not run
	}
}

// stop ends the watch. The channel is closed when it has ended.
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
