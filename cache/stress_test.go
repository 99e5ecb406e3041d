package cache

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/schedule"
	"github.com/irsakit/irsakit/internal/test/testsize"
)

var (
	stressDays = flag.Int("stress.days", 40, "number of `days` to simulate, each with its own seed")
	stressSeed = flag.Uint64("stress.seed", 1, "`seed` of the first day")
)

// TestCacheStress simulates days with outages of each kind, sources that cache or return short
// lifetimes, clock steps, suspends, starved timers, rejections, and callers with and without a
// deadline, in an order that the seed determines. The invariants are checked after each step.
//
//	go test ./cache -run Stress -stress.days 2000
//	go test ./cache -run Stress -stress.days 1 -stress.seed 77
func TestCacheStress(t *testing.T) {
	t.Parallel()
	for day := range uint64(testsize.Choose(min(*stressDays, 5), *stressDays, *stressDays)) {
		seed := *stressSeed + day
		ok := t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newWorld(t, seed).day() })
		})
		if !ok {
			t.Fatalf("reproduce with: go test ./cache -run Stress -stress.days 1 -stress.seed %d", seed)
		}
	}
}

// world contains a Cache, its source, and the expected state of both.
type world struct {
	t        *testing.T
	random   *rand.Rand // used only by the goroutine that runs the day
	cache    *Cache
	lifetime time.Duration // lifetime of most credentials
	wrapped  bool          // the source is in an *aws.CredentialsCache
	minAge   time.Duration // argument of Replace
	callers  sync.WaitGroup

	mu        sync.Mutex // guards the fields below
	mode      int        // one of works, fails, hangs, isLate
	phase     int        // one of renews, caches, shortens
	early     time.Duration
	short     time.Duration
	running   int
	calls     []time.Time
	grants    map[string]*grant // by access key ID
	cached    string            // key that a caching source returns again
	served    string            // key that the Cache serves; "" if none or uncertain
	withdrawn []string          // keys passed to Invalidate, newest last
	lastGood  *schedule.Moment  // start of the last source call, if it returned usable credentials
	rejected  *schedule.Moment  // start of the last attempt after a rejection
}

func newWorld(t *testing.T, seed uint64) *world {
	random := rand.New(rand.NewPCG(seed, 7))
	w := &world{t: t, random: random, grants: map[string]*grant{}}
	w.lifetime = []time.Duration{time.Minute, 15 * time.Minute, time.Hour, 12 * time.Hour}[random.IntN(4)]
	w.minAge = w.within(time.Minute, 30*time.Minute)
	w.wrapped = random.IntN(4) == 0
	var source aws.CredentialsProvider = aws.CredentialsProviderFunc(w.source)
	if w.wrapped {
		source = aws.NewCredentialsCache(source)
	}
	w.cache = New(source, func(o *Options) {
		o.Logger = slog.New(slog.DiscardHandler)
		if random.IntN(2) == 0 {
			o.Limiter = NewLimiter(1 + random.IntN(3))
		}
	})
	return w
}

// within returns a random duration in [from, to).
func (w *world) within(from, to time.Duration) time.Duration {
	return from + time.Duration(w.random.Int64N(int64(to-from)))
}

func (w *world) day() {
	start := time.Now()
	for time.Since(start) < 24*time.Hour {
		w.act()
		time.Sleep(w.within(0, max(w.lifetime/30, 10*time.Second)))
		synctest.Wait() // lets due timers fire
		w.retrieve()
	}
	w.repair()
	w.close()
}

// act performs a random action, or does nothing.
func (w *world) act() {
	switch w.random.IntN(50) {
	case 0, 1, 2:
		w.setMode(w.random.IntN(modes))
	case 3, 4, 5, 6:
		w.setMode(works)
	case 7:
		w.step(w.within(0, 2*w.lifetime), 0) // forward, or a suspend
	case 8:
		w.step(-w.within(0, 2*w.lifetime), 0)
	case 9:
		starved := w.within(0, w.lifetime)
		w.step(starved, starved)
	case 10:
		w.withdraw()
	case 11:
		_ = w.cache.Refresh(canceled(w.t))
	case 12:
		w.cache.Wake()
	case 13:
		_, _ = w.cache.MinTTL(w.lifetime / 2).Retrieve(canceled(w.t))
	case 14, 15, 16:
		w.reject()
	case 17:
		w.rejectOlder()
	case 18, 19:
		w.changePhase()
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// step makes the clocks of the Cache jump, so granted credentials expire that much sooner. It is a
// no-op inside the SDK's own cache, whose clock cannot be stepped.
func (w *world) step(wall, elapsed time.Duration) {
	if w.wrapped {
		return
	}
	synctest.Wait()
	step(w.cache, wall, elapsed)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range w.grants {
		jump(&g.end, wall, elapsed)
	}
	for _, m := range []*schedule.Moment{w.lastGood, w.rejected} {
		if m != nil {
			jump(m, wall, elapsed)
		}
	}
}

func jump(m *schedule.Moment, wall, elapsed time.Duration) {
	m.Wall -= int64(wall)
	m.Elapsed -= elapsed
}
