package cache

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/schedule"
	"github.com/irsakit/irsakit/internal/testsize"
)

var (
	tortureDays = flag.Int("torture.days", 40, "how many `days` the torture simulates, each from a seed of its own")
	tortureSeed = flag.Uint64("torture.seed", 1, "the `seed` of its first day")
)

// A day of everything that can happen to a Cache, in an order that its seed decides:
// outages of each kind, clock steps, suspends, starved timers, refusals, callers with and
// without patience. After each step the promises hold.
//
//	go test ./cache -run Torture -torture.days 2000
//	go test ./cache -run Torture -torture.days 1 -torture.seed 77
func TestTortureBreaksNoPromise(t *testing.T) {
	for day := range uint64(testsize.Choose(min(*tortureDays, 5), *tortureDays, *tortureDays)) {
		seed := *tortureSeed + day
		ok := t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newWorld(t, seed).day() })
		})
		if !ok {
			t.Fatalf("again with: go test ./cache -run Torture -torture.days 1 -torture.seed %d", seed)
		}
	}
}

// world is a Cache, its source, and what must be true of them.
type world struct {
	t      *testing.T
	random *rand.Rand
	cache  *Cache
	life   time.Duration

	mu      sync.Mutex
	trouble int // one of the kinds below
	running int
	calls   []time.Time
	ends    map[string]schedule.Moment // of the credentials that were issued, as the Cache's clocks show it
	refused map[string]bool
	newest  string // that the Cache has been given
}

// What the source does.
const (
	works = iota
	fails
	hangs  // until its context ends
	isLate // it needs seconds
	troubles
)

var errTorture = errors.New("tortured")

func newWorld(t *testing.T, seed uint64) *world {
	random := rand.New(rand.NewPCG(seed, 7))
	w := &world{t: t, random: random, ends: map[string]schedule.Moment{}, refused: map[string]bool{}}
	w.life = []time.Duration{time.Minute, 15 * time.Minute, time.Hour, 12 * time.Hour}[random.IntN(4)]
	w.cache = New(aws.CredentialsProviderFunc(w.source), func(o *Options) {
		o.Logger = slog.New(slog.DiscardHandler)
		if random.IntN(2) == 0 {
			o.Limiter = NewLimiter(1 + random.IntN(3))
		}
	})
	return w
}

// source is the source: never called twice at the same time.
func (w *world) source(ctx context.Context) (aws.Credentials, error) {
	w.mu.Lock()
	w.running++
	require.Equal(w.t, 1, w.running, "one attempt at a time")
	w.calls = append(w.calls, time.Now())
	trouble, delay := w.trouble, 2*time.Second
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.running--
	}()
	switch trouble {
	case fails:
		return aws.Credentials{}, errTorture
	case hangs:
		<-ctx.Done()
		return aws.Credentials{}, ctx.Err()
	case isLate:
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return aws.Credentials{}, ctx.Err()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.newest = fmt.Sprintf("AK%d", len(w.calls))
	w.ends[w.newest] = w.cache.now().Add(w.life)
	return aws.Credentials{AccessKeyID: w.newest, SecretAccessKey: "secret", CanExpire: true, Expires: time.Now().Add(w.life)}, nil
}

func (w *world) day() {
	start := time.Now()
	for time.Since(start) < 24*time.Hour {
		w.act()
		time.Sleep(time.Duration(w.random.Int64N(int64(max(w.life/30, 10*time.Second)))))
		synctest.Wait() // so that what was due has been done
		w.ask()
	}
	w.recover()
	w.close()
}

// act lets something happen, or nothing.
func (w *world) act() {
	switch w.random.IntN(40) {
	case 0, 1, 2:
		w.mu.Lock()
		w.trouble = w.random.IntN(troubles)
		w.mu.Unlock()
	case 3, 4, 5, 6:
		w.mu.Lock()
		w.trouble = works
		w.mu.Unlock()
	case 7:
		w.step(time.Duration(w.random.Int64N(int64(2*w.life))), 0) // ahead, or a suspend
	case 8:
		w.step(-time.Duration(w.random.Int64N(int64(2*w.life))), 0)
	case 9:
		starved := time.Duration(w.random.Int64N(int64(w.life)))
		w.step(starved, starved)
	case 10:
		w.refuse()
	case 11:
		ended, end := context.WithCancel(w.t.Context())
		end()
		_ = w.cache.Refresh(ended)
	case 12:
		w.cache.Wake()
	case 13:
		_, _ = w.cache.MinTTL(w.life / 2).Retrieve(canceled(w.t))
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// step lets the Cache see its clocks jump, and what it was given end by so much sooner.
func (w *world) step(wall, elapsed time.Duration) {
	synctest.Wait()
	step(w.cache, wall, elapsed)
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, end := range w.ends {
		w.ends[key] = schedule.Moment{Wall: end.Wall - int64(wall), Elapsed: end.Elapsed - elapsed}
	}
}

// refuse lets a service refuse what is served.
func (w *world) refuse() {
	s := w.cache.state.Load()
	if s.creds.AccessKeyID == "" {
		return
	}
	w.cache.Invalidate(s.creds)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused[s.creds.AccessKeyID] = true
}

// ask is a caller. While there is something to serve he gets it, and at once.
func (w *world) ask() {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Duration(1+w.random.IntN(20))*time.Second)
	defer cancel()
	valid := w.valid()
	start := time.Now()
	creds, err := w.cache.Retrieve(ctx)
	if err != nil {
		require.Falsef(w.t, valid, "an error where there are valid credentials: %v", err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	end, known := w.ends[creds.AccessKeyID]
	require.True(w.t, known)
	require.False(w.t, end.Add(-schedule.Margin(w.life, 0)).Reached(w.cache.now()), "expired")
	require.False(w.t, w.refused[creds.AccessKeyID], "refused credentials were served")
	if valid {
		require.Zero(w.t, time.Since(start), "a caller waited where there are valid credentials")
	}
}

// valid says that the Cache has been given credentials that are good.
func (w *world) valid() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	end, known := w.ends[w.newest]
	return known && !w.refused[w.newest] && !end.Add(-schedule.Margin(w.life, 1)).Reached(w.cache.now())
}

// recover lets the source work again: whoever asks on has credentials within an attempt's
// limit and 6 s, or a minute where a service had refused what there was.
func (w *world) recover() {
	w.mu.Lock()
	w.trouble = works
	w.mu.Unlock()
	limit := w.cache.opts.AttemptTimeout + 6*time.Second
	if errors.Is(w.cache.Status().Err, ErrRefused) {
		limit = schedule.RefusalSpacing
	}
	start := time.Now()
	for {
		if _, err := w.cache.Retrieve(w.t.Context()); err == nil {
			break
		}
		require.LessOrEqual(w.t, time.Since(start), limit, "it does not recover")
		time.Sleep(100 * time.Millisecond)
	}
	w.storm()
}

// storm checks that no second had more calls than back-off allows, and the whole day not
// more than one a second.
func (w *world) storm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := 4; i < len(w.calls); i++ {
		require.GreaterOrEqual(w.t, w.calls[i].Sub(w.calls[i-4]), time.Second, "five calls within a second")
	}
}

func (w *world) close() {
	require.NoError(w.t, w.cache.Close())
	_, err := w.cache.Retrieve(w.t.Context())
	require.ErrorIs(w.t, err, ErrClosed)
}
