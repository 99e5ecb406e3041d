package irsa_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// world is a pod with its Providers and the credentials that STS issued to them. Its methods check
// these invariants:
//
//   - A caller receives the newest valid credentials without waiting, if there are any.
//   - No caller receives credentials that have expired by STS's clock or were invalidated.
//   - The number of STS calls within a minute and the exchanges within an hour are bounded, regardless of
//     what callers and services do.
//   - After all faults have been removed, callers obtain credentials in time.
//   - Only closed Providers return ErrClosed, and they always do.
//   - Errors and log lines do not contain secrets.
type world struct {
	t          *testing.T
	random     *rand.Rand // used only by the goroutine of the day
	kit        *irsatest.Cluster
	stranger   *irsatest.ServiceAccount
	pod        *irsatest.Pod
	roles      []*irsatest.Role // trust the pod
	chainRoles []*irsatest.Role // the first trusts roles, each other role its predecessor
	life       time.Duration    // the lifetime of credentials
	tokenLife  time.Duration
	rotated    time.Time // when the kubelet last rotated the token
	faulty     bool      // a fault has been injected
	long       bool      // the fault lasts long
	distorted  bool      // a middlebox changes responses

	pooled     bool
	pool       *irsa.Pool
	inPool     []*actor // including derived ones
	maxRoles   int
	actors     []*actor // all actors in use
	actorCount int
	callers    sync.WaitGroup

	mu    sync.Mutex // guards what follows
	ahead time.Duration
	distortion
	issued  map[string]*grant // by access key ID
	byName  map[string]*actor
	secrets []string // the newest
}

// actor is a Provider and its history.
type actor struct {
	*irsa.Provider
	world          *world
	name           string
	role           *irsatest.Role
	source         *actor // set for a derived Provider
	pooled         bool
	idleUntil      time.Time // not used by callers before then
	alwaysRejected bool      // services always reject its keys

	clients map[string]*sts.Client // clients of services that reject every key, by code

	// Guarded by the world's mu.
	newest         *grant
	older          *grant      // the grant before newest
	attemptReasons []time.Time // reasons for an attempt within about a minute
	calls          []time.Time // calls of STS within a minute
	reasons        []time.Time // reasons for an attempt within an hour
	exchanges      []time.Time // successful exchanges within an hour
	closed         bool
	ended          bool      // Close has returned
	closedAt       time.Time // when the Pool that evicted it was closed
	evicted        bool
}

// grant is the credentials that STS issued in one exchange.
type grant struct {
	key         string
	name        string    // the actor's name
	end         time.Time // the expiry on the node's clock, converted with the skew at the time of the exchange
	earliest    time.Time // the earliest expiry that the Provider may assume
	latest      time.Time // the latest expiry that the Provider may assume
	certain     time.Time // this grant, or an older grant if unsure, must be served until then
	unsure      bool      // an older grant may expire later
	invalidated time.Time // by Invalidate; zero if never
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, random: rand.New(rand.NewPCG(seed, 7)), issued: map[string]*grant{}, byName: map[string]*actor{}}
	w.kit = newCluster(t)
	w.life = []time.Duration{15 * time.Minute, time.Hour, time.Hour, 12 * time.Hour}[w.random.IntN(4)]
	w.tokenLife = []time.Duration{2 * time.Hour, 12 * time.Hour}[w.random.IntN(2)]
	w.kit.STS.SetLifetime(w.life)
	cart := w.kit.ServiceAccount("shop", "cart")
	w.stranger = w.kit.ServiceAccount("shop", "stranger")
	for i := range 3 {
		w.roles = append(w.roles, w.kit.Role(fmt.Sprintf("tenant-%d", i), irsatest.Trust(cart), irsatest.MaxSessionDuration(12*time.Hour)))
	}
	derived := w.kit.Role("partner", irsatest.Trust(w.roles[0], w.roles[1], w.roles[2]))
	w.chainRoles = []*irsatest.Role{derived, w.kit.Role("far", irsatest.Trust(derived))}
	w.pod = w.kit.Pod(cart, w.roles[0], func(o *irsatest.PodOptions) { o.TokenLifetime = w.tokenLife })
	w.rotated = time.Now()
	w.pooled, w.distorted = w.random.IntN(2) == 0, w.random.IntN(2) == 0
	w.open()
	return w
}

// open creates the Provider or the Pool of the day.
func (w *world) open() {
	if w.pooled {
		w.openPool()
	} else {
		w.openProvider()
	}
}

// close closes the Provider or the Pool while callers wait.
func (w *world) close() {
	if w.pooled {
		w.closePool()
	} else {
		w.closeActor(w.actors[0])
	}
}

// check fails the test if an invariant is violated.
func (w *world) check(ok bool, format string, arguments ...any) bool {
	if !ok {
		assert.Fail(w.t, fmt.Sprintf(format, arguments...))
	}
	return ok
}

func (w *world) options(o *irsa.Options) {
	w.pod.Options(o)
	o.HTTPClient, o.Duration = w.client(), w.life
	o.Logger = slog.New(slog.NewTextHandler(lines{w}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.Observe = func(e irsa.Event) { w.checkNoSecret(fmt.Sprint(e.Status.Err)) }
}

// addActor adds an actor, and sometimes derived Providers of it.
func (w *world) addActor(a *actor) {
	w.mu.Lock()
	w.byName[a.name] = a
	w.mu.Unlock()
	a.recordReason()
	w.actors = append(w.actors, a)
	depth := 0
	for s := a.source; s != nil; s = s.source {
		depth++
	}
	if depth < len(w.chainRoles) && w.random.IntN(3) == 0 {
		w.addDerived(a, w.chainRoles[depth])
	}
}

func (w *world) actor(kind string) *actor {
	w.actorCount++
	return &actor{world: w, name: fmt.Sprintf("%s-%d", kind, w.actorCount)}
}

func (w *world) addDerived(source *actor, role *irsatest.Role) {
	a := w.actor("derived")
	a.role, a.source, a.pooled = role, source, source.pooled
	p, err := source.AssumeRole(role.ARN(), func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName = a.name })
	if errors.Is(err, irsa.ErrPoolFull) {
		return
	}
	require.NoError(w.t, err)
	a.Provider = p
	if a.pooled {
		w.inPool = append(w.inPool, a)
	}
	w.addActor(a)
}

// openProvider creates a Provider that is not part of a Pool.
func (w *world) openProvider() {
	a := w.actor("provider")
	a.role = w.roles[0]
	p, err := irsa.New(w.options, func(o *irsa.Options) { o.SessionName = a.name })
	require.NoError(w.t, err)
	a.Provider = p
	w.addActor(a)
}

func (w *world) closeDerived() {
	i := slices.IndexFunc(w.actors, func(a *actor) bool { return a.source != nil && !a.pooled })
	if i < 0 {
		return
	}
	a := w.actors[i]
	w.closeActor(a)
	w.addDerived(a.source, a.role)
}

// closeActor closes a Provider and its derived Providers.
func (w *world) closeActor(a *actor) {
	w.startCallers(a)
	w.closeAll(w.withDerived(a), a.Close)
}

// closeAll calls end and checks that it closes these actors.
func (w *world) closeAll(gone []*actor, end func() error) {
	w.mu.Lock()
	for _, a := range gone {
		a.closed = true
	}
	w.mu.Unlock()
	require.NoError(w.t, end())
	for _, a := range gone {
		w.mu.Lock()
		a.ended = true
		w.mu.Unlock()
		_, err := a.Retrieve(w.t.Context())
		w.check(errors.Is(err, irsa.ErrClosed), "%s is closed but returns: %v", a.name, err)
		err = a.Refresh(w.t.Context())
		w.check(errors.Is(err, irsa.ErrClosed), "%s is closed but returns: %v", a.name, err)
	}
	w.actors = slices.DeleteFunc(w.actors, func(a *actor) bool { return slices.Contains(gone, a) })
}

// withDerived returns an actor and the actors derived from it.
func (w *world) withDerived(a *actor) (out []*actor) {
	for _, other := range w.actors {
		for s := other; s != nil; s = s.source {
			if s == a {
				out = append(out, other)
			}
		}
	}
	return out
}

func (w *world) randomActor() *actor { return w.actors[w.random.IntN(len(w.actors))] }
