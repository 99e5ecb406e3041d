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

// world is a pod with its Providers, what STS has given them, and what must be true of
// that:
//
//   - who asks for credentials while there are valid ones gets them, the newest, at once;
//   - nobody gets expired ones, by STS's own clock, or refused ones;
//   - the calls of STS within a minute, and the exchanges within an hour, are bounded, whatever
//     callers and services do;
//   - when everything works again, there are credentials in time;
//   - who is closed says so, and only then;
//   - no error and no line of the log holds a secret.
type world struct {
	t         *testing.T
	random    *rand.Rand // of the day's own goroutine
	kit       *irsatest.Cluster
	stranger  *irsatest.ServiceAccount
	pod       *irsatest.Pod
	roles     []*irsatest.Role // that trust the pod
	far       []*irsatest.Role // the first trusts the roles, each other one the one before it
	life      time.Duration    // of credentials
	tokenLife time.Duration
	rotated   time.Time // the token, by the kubelet
	trouble   bool      // something is broken
	long      bool      // and stays so
	distorted bool      // a middlebox changes responses

	pooled  bool
	pool    *irsa.Pool
	known   []*actor // by the Pool, that was asked for last first
	most    int      // MaxRoles
	actors  []*actor // all that are asked
	made    int
	callers sync.WaitGroup

	mu    sync.Mutex // guards what follows
	ahead time.Duration
	distortion
	issued  map[string]*grant // by access key ID
	byName  map[string]*actor
	secrets []string // the newest
}

// actor is a Provider, by the name of its sessions.
type actor struct {
	*irsa.Provider
	world  *world
	name   string
	role   *irsatest.Role
	source *actor // of a hop
	pooled bool
	quiet  time.Time // until then nobody asks for its credentials
	nagged bool      // services reject its keys all the time

	clients map[string]*sts.Client // of services that reject every key, by code

	// Guarded by the world's mu.
	newest    *grant
	older     *grant      // the one before
	asks      []time.Time // when somebody gave a reason for an attempt
	calls     []time.Time // of STS
	reasons   []time.Time // like asks, within an hour
	exchanges []time.Time // that succeeded, within an hour
	closed    bool
	ended     bool      // Close has returned
	closedAt  time.Time // of the Pool that has forgotten it
	forgotten bool
}

// grant is what STS gave.
type grant struct {
	key      string
	name     string    // of the actor
	end      time.Time // on the node's clock, by the difference of STS's when it was given
	earliest time.Time // that the Provider may assume to be the end
	latest   time.Time // likewise
	certain  time.Time // until then it must be served, or those before it if unsure
	unsure   bool      // those before it may live longer
	refused  time.Time // by Invalidate; zero if it was not
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, random: rand.New(rand.NewPCG(seed, 7)), issued: map[string]*grant{}, byName: map[string]*actor{}}
	w.kit = newCluster(t)
	w.life = []time.Duration{15 * time.Minute, time.Hour, time.Hour, 12 * time.Hour}[w.random.IntN(4)]
	w.tokenLife = []time.Duration{2 * time.Hour, 12 * time.Hour}[w.random.IntN(2)]
	w.kit.STS.SetLife(w.life)
	cart := w.kit.ServiceAccount("shop", "cart")
	w.stranger = w.kit.ServiceAccount("shop", "stranger")
	for i := range 3 {
		w.roles = append(w.roles, w.kit.Role(fmt.Sprintf("tenant-%d", i), irsatest.Trust(cart), irsatest.MaxSessionDuration(12*time.Hour)))
	}
	hop := w.kit.Role("partner", irsatest.Trust(w.roles[0], w.roles[1], w.roles[2]))
	w.far = []*irsatest.Role{hop, w.kit.Role("far", irsatest.Trust(hop))}
	w.pod = w.kit.Pod(cart, w.roles[0], func(o *irsatest.PodOptions) { o.TokenLife = w.tokenLife })
	w.rotated = time.Now()
	w.pooled, w.distorted = w.random.IntN(2) == 0, w.random.IntN(2) == 0
	w.open()
	return w
}

// open makes what the day is about: one Provider, or a Pool.
func (w *world) open() {
	if w.pooled {
		w.openPool()
	} else {
		w.openSolo()
	}
}

// close closes it while callers wait.
func (w *world) close() {
	if w.pooled {
		w.closePool()
	} else {
		w.end(w.actors[0])
	}
}

// check ends the day where a promise is broken.
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
	o.Observe = func(e irsa.Event) { w.judgeText(fmt.Sprint(e.Status.Err)) }
}

// enter makes an actor known, and gives it hops.
func (w *world) enter(a *actor) {
	w.mu.Lock()
	w.byName[a.name] = a
	w.mu.Unlock()
	a.note()
	w.actors = append(w.actors, a)
	depth := 0
	for s := a.source; s != nil; s = s.source {
		depth++
	}
	if depth < len(w.far) && w.random.IntN(3) == 0 {
		w.addHop(a, w.far[depth])
	}
}

func (w *world) actor(kind string) *actor {
	w.made++
	return &actor{world: w, name: fmt.Sprintf("%s-%d", kind, w.made)}
}

func (w *world) addHop(source *actor, role *irsatest.Role) {
	a := w.actor("hop")
	a.role, a.source, a.pooled, a.forgotten = role, source, source.pooled, source.forgotten
	p, err := source.AssumeRole(role.ARN(), func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName = a.name })
	require.NoError(w.t, err)
	a.Provider = p
	w.enter(a)
}

// openSolo makes a Provider of its own.
func (w *world) openSolo() {
	a := w.actor("solo")
	a.role = w.roles[0]
	p, err := irsa.New(w.options, func(o *irsa.Options) { o.SessionName = a.name })
	require.NoError(w.t, err)
	a.Provider = p
	w.enter(a)
}

func (w *world) closeHop() {
	i := slices.IndexFunc(w.actors, func(a *actor) bool { return a.source != nil })
	if i < 0 {
		return
	}
	a := w.actors[i]
	w.end(a)
	w.addHop(a.source, a.role)
}

// end closes a Provider, and the hops that come of it with it.
func (w *world) end(a *actor) {
	w.crowd(a)
	w.ends(w.family(a), a.Close)
}

// ends closes those who are to be gone then.
func (w *world) ends(gone []*actor, end func() error) {
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
		w.check(errors.Is(err, irsa.ErrClosed), "%s is closed and says: %v", a.name, err)
		err = a.Refresh(w.t.Context())
		w.check(errors.Is(err, irsa.ErrClosed), "%s is closed and says: %v", a.name, err)
	}
	w.actors = slices.DeleteFunc(w.actors, func(a *actor) bool { return slices.Contains(gone, a) })
}

// family are an actor and the hops that come of it.
func (w *world) family(a *actor) (out []*actor) {
	for _, other := range w.actors {
		for s := other; s != nil; s = s.source {
			if s == a {
				out = append(out, other)
			}
		}
	}
	return out
}

func (w *world) someone() *actor { return w.actors[w.random.IntN(len(w.actors))] }
