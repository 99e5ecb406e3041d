package irsa

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
	"weak"

	"github.com/irsakit/irsakit/tokenfile"
)

// While an exchange has failed the token file is looked at this often, otherwise as
// often as [tokenfile.Watch] does by itself.
const failingInterval = time.Second

// watch follows a token file in a goroutine of its own. It is a nudge only: every
// exchange reads the file itself.
type watch struct {
	mu      sync.Mutex
	stopped bool
	cancel  context.CancelFunc // nil where none runs
	ended   chan struct{}
	recheck chan struct{}
}

// follower is who wants to know of new tokens.
type follower interface {
	failing() bool                             // an exchange has failed
	found(token tokenfile.Token, another bool) // after another one, or after none
}

// follow starts the watch if it does not run yet. It holds nobody: it ends soon after
// who, which must not keep its follower from being collected, returns nil.
func (w *watch) follow(path string, who func() follower) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped || w.cancel != nil || path == "" {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	w.ended = make(chan struct{})
	w.recheck = make(chan struct{}, 1)
	go followFile(ctx, path, who, w.recheck, w.ended)
}

func followFile(ctx context.Context, path string, who func() follower, recheck <-chan struct{}, ended chan<- struct{}) {
	defer close(ended)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tokens := tokenfile.Watch(ctx, path, func(o *tokenfile.WatchOptions) {
		o.Recheck = recheck
		o.Interval = func() time.Duration {
			f := who()
			switch {
			case f == nil:
				cancel()
			case f.failing():
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
		if f := who(); f != nil {
			f.found(token, token.Reveal() != seen.Reveal())
		}
		seen = token
	}
}

// follow starts the watch of p's token file, or the one of its Pool.
func (p *Provider) follow() {
	if p.pool != nil {
		p.pool.follow()
		return
	}
	provider := weak.Make(p)
	p.watch.follow(p.settings.TokenFile, func() follower {
		if p := provider.Value(); p != nil {
			return p
		}
		return nil
	})
}

func (p *Provider) failing() bool { return p.cache.Status().Failures > 0 }

// found is told of the token that the file holds. It matters where the last exchange
// failed, or where the token is somebody else's.
func (p *Provider) found(token tokenfile.Token, another bool) {
	used := p.known.used.Load()
	known := used != nil && used.Reveal() == token.Reveal()
	if used != nil && !known || errors.Is(kindOfCache(p.cache.Status().Err), ErrTokenFile) {
		p.cache.Wake()
	}
	if known || !another {
		return
	}
	p.known.seen.Store(&token)
	claims := token.Claims()
	p.settings.log(slog.LevelDebug, "web identity token rotated", "role", p.settings.RoleARN, "token_expiry", claims.Expiry)
	p.tell(func() Event { return Event{Kind: Rotated, Time: time.Now(), Status: p.Status()} })
	if used != nil && p.cache.Status().Failures == 0 &&
		(used.Claims().Issuer != claims.Issuer || used.Claims().Subject != claims.Subject) {
		ended, end := context.WithCancel(context.Background())
		end()
		_ = p.cache.Refresh(ended) // asks for it only: what comes of it is reported as ever
	}
}

// look makes the watch look at the file now, and from then on as often as the state
// of its follower asks for.
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
