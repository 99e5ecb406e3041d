package irsametrics_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/examples/observability/irsametrics"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestEverySeriesAgreesWithStatusAndEventsWhateverHappens(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, seed)
				for range 30 {
					time.Sleep(90*time.Second + time.Duration(w.random.IntN(300))*time.Second)
					synctest.Wait()
					w.compare()
					w.step()
				}
				w.searchForSecrets()
			})
		})
	}
}

// world is a role, another one that it assumes, and what is known of them.
type world struct {
	t         *testing.T
	random    *rand.Rand
	kit       *irsatest.Cluster
	pod       *irsatest.Pod
	providers []*irsa.Provider
	registry  *prometheus.Registry

	model         model
	rotations     int
	callersErrors int // of the second role, whose callers are all known
	log           bytes.Buffer
	secrets       []string
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, random: rand.New(rand.NewPCG(seed, 0)), kit: irsatest.New(t), registry: prometheus.NewPedanticRegistry()}
	w.kit.STS.SetLife(20 * time.Minute)
	sa := w.kit.ServiceAccount("shop", "cart")
	first := w.kit.Role("first", irsatest.Trust(sa))
	second := w.kit.Role("second", irsatest.InAccount("444455556666"), irsatest.Trust(first))
	w.pod = w.kit.Pod(sa, first)
	m := irsametrics.New()
	w.registry.MustRegister(m)
	p := newProvider(t, w.pod.Options, func(o *irsa.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Observe = func(e irsa.Event) {
			w.model.observe(e)
			m.Observe(e)
		}
	})
	hop, err := p.AssumeRole(second.ARN())
	require.NoError(t, err)
	w.providers = []*irsa.Provider{p, hop}
	m.Add(p)
	m.Add(hop)
	w.compare()
	w.retrieve(hop)
	return w
}

// step lets something happen.
func (w *world) step() {
	p := w.providers[w.random.IntN(2)]
	switch w.random.IntN(9) {
	case 0, 1:
		faults := irsatest.Faults()
		w.kit.STS.Fail(faults[w.random.IntN(len(faults))], -1)
	case 2:
		w.kit.STS.Down()
	case 3, 4:
		w.kit.STS.Recover()
	case 5:
		w.secrets = append(w.secrets, strings.Split(w.pod.Token(), ".")...)
		w.pod.Rotate()
		w.rotations++
	case 6:
		if creds, ok := w.retrieve(p); ok {
			p.Invalidate(creds)
		}
	case 7:
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
		defer cancel()
		_ = p.Refresh(ctx)
	default:
		for range 3 {
			w.retrieve(p)
			time.Sleep(time.Second)
		}
	}
}

func (w *world) retrieve(p *irsa.Provider) (aws.Credentials, bool) {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Duration(w.random.IntN(15))*time.Second)
	defer cancel()
	creds, err := p.Retrieve(ctx)
	if err != nil {
		if p == w.providers[1] {
			w.callersErrors++
		}
		return creds, false
	}
	w.secrets = append(w.secrets, creds.SecretAccessKey, creds.SessionToken)
	return creds, true
}

// compare wants a scrape to have the series that the model and the Status have, and no
// others.
func (w *world) compare() {
	w.t.Helper()
	want := w.model.snapshot()
	for _, p := range w.providers {
		s := p.Status()
		zero(want, s)
		gauges(want, s)
	}
	base, hop := w.providers[0].Status(), w.providers[1].Status()
	want[series("irsa_token_rotations_total", base.RoleARN, "")] = float64(w.rotations)
	got := gather(w.t, w.registry)
	require.Equal(w.t, want, got)

	// What neither Status nor events say, but those who saw it.
	assert.InDelta(w.t, w.callersErrors, got[series("irsa_caller_errors_total", hop.RoleARN, hop.Source)], 0)
	answered := map[string]int{}
	for _, call := range w.kit.STS.Calls() {
		if call.Err == "" {
			answered[call.RoleARN]++
		}
	}
	for _, s := range []irsa.Status{base, hop} {
		assert.InDelta(w.t, answered[s.RoleARN], got[attempts("none", "success", s)], 0)
	}
}

func (w *world) searchForSecrets() {
	scrape := httptest.NewRecorder()
	promhttp.HandlerFor(w.registry, promhttp.HandlerOpts{}).ServeHTTP(scrape, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, p := range w.providers {
		require.NoError(w.t, p.Close()) // when all lines have been written
	}
	text := scrape.Body.String() + w.log.String()
	require.Contains(w.t, text, "irsa_attempts_total")
	for _, secret := range append(w.secrets, strings.Split(w.pod.Token(), ".")...) {
		require.NotContains(w.t, text, secret)
	}
}

// model counts events.
type model struct {
	mu     sync.Mutex
	values map[string]float64
}

func (m *model) observe(e irsa.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values == nil {
		m.values = map[string]float64{}
	}
	s := e.Status
	switch e.Kind {
	case irsa.Refreshed:
		m.attempt("none", "success", e)
	case irsa.RefreshFailed:
		for name, kind := range kinds {
			if kind == s.Kind {
				m.attempt(snake(name), "failure", e)
			}
		}
	case irsa.Refused:
		m.values[series("irsa_refusals_total", s.RoleARN, s.Source)]++
	}
}

func (m *model) attempt(kind, outcome string, e irsa.Event) {
	s := e.Status
	m.values[attempts(kind, outcome, s)]++
	labels := fmt.Sprintf("{outcome=%q,role=%q,source=%q}", outcome, s.RoleARN, s.Source)
	m.values["irsa_exchange_duration_seconds_count"+labels]++
	m.values["irsa_exchange_duration_seconds_sum"+labels] += e.Took.Seconds()
}

func (m *model) snapshot() map[string]float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := maps.Clone(m.values)
	if out == nil {
		out = map[string]float64{}
	}
	return out
}

func attempts(kind, outcome string, s irsa.Status) string {
	return fmt.Sprintf("irsa_attempts_total{kind=%q,outcome=%q,role=%q,source=%q}", kind, outcome, s.RoleARN, s.Source)
}

// zero adds the counters that are there before anything has happened.
func zero(want map[string]float64, s irsa.Status) {
	want[attempts("none", "success", s)] += 0
	for name := range kinds {
		want[attempts(snake(name), "failure", s)] += 0
	}
	want[series("irsa_refusals_total", s.RoleARN, s.Source)] += 0
	want[series("irsa_token_rotations_total", s.RoleARN, s.Source)] += 0
}

// gauges adds what a Status says.
func gauges(want map[string]float64, s irsa.Status) {
	for name, at := range map[string]time.Time{
		"irsa_credentials_expiry_timestamp_seconds": s.Expires,
		"irsa_last_success_timestamp_seconds":       s.LastSuccess,
		"irsa_next_refresh_timestamp_seconds":       s.NextAttempt,
		"irsa_token_issued_timestamp_seconds":       s.TokenIssued,
		"irsa_token_expiry_timestamp_seconds":       s.TokenExpiry,
	} {
		if !at.IsZero() {
			want[series(name, s.RoleARN, s.Source)] = float64(at.UnixMilli()) / 1e3
		}
	}
	valid := 0.0
	if s.State == cache.Fresh || s.State == cache.Stale {
		valid = 1
	}
	for name, value := range map[string]float64{
		"irsa_credentials_valid":         valid,
		"irsa_consecutive_failures":      float64(s.Failures),
		"irsa_caller_errors_total":       float64(s.Errors),
		"irsa_caller_wait_seconds_count": float64(s.Waits),
		"irsa_caller_wait_seconds_sum":   s.Waited.Seconds(),
	} {
		want[series(name, s.RoleARN, s.Source)] = value
	}
}
