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
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsametrics"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestCollectMatchesStatusAndEvents(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSimulation(t, seed)
				for range 30 {
					time.Sleep(90*time.Second + time.Duration(s.random.IntN(300))*time.Second)
					synctest.Wait()
					s.check()
					s.step()
				}
				s.checkForSecrets()
			})
		})
	}
}

// simulation is a role that assumes a second role, with the expected metrics for both.
type simulation struct {
	t         *testing.T
	random    *rand.Rand
	kit       *irsatest.Cluster
	pod       *irsatest.Pod
	providers []*irsa.Provider
	registry  *prometheus.Registry

	model         model
	rotations     int
	callersErrors int // errors for the second role, whose only caller is the test
	log           bytes.Buffer
	secrets       []string
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	s := &simulation{t: t, random: rand.New(rand.NewPCG(seed, 0)), kit: irsatest.New(t), registry: prometheus.NewPedanticRegistry()}
	s.kit.STS.SetLifetime(20 * time.Minute)
	sa := s.kit.ServiceAccount("shop", "cart")
	first := s.kit.Role("first", irsatest.Trust(sa))
	second := s.kit.Role("second", irsatest.InAccount("444455556666"), irsatest.Trust(first))
	s.pod = s.kit.Pod(sa, first)
	m := irsametrics.New()
	s.registry.MustRegister(m)
	p := newProvider(t, s.pod.Options, func(o *irsa.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Observe = func(e irsa.Event) {
			s.model.observe(e)
			m.Observe(e)
		}
	})
	derived, err := p.AssumeRole(second.ARN())
	require.NoError(t, err)
	s.providers = []*irsa.Provider{p, derived}
	m.Add(p)
	m.Add(derived)
	s.check()
	s.retrieve(derived)
	return s
}

// step performs a random operation.
func (s *simulation) step() {
	p := s.providers[s.random.IntN(2)]
	switch s.random.IntN(9) {
	case 0, 1:
		faults := irsatest.Faults()
		s.kit.STS.Fail(faults[s.random.IntN(len(faults))], -1)
	case 2:
		s.kit.STS.Down()
	case 3, 4:
		s.kit.STS.Recover()
	case 5:
		s.secrets = append(s.secrets, strings.Split(s.pod.Token(), ".")...)
		s.pod.Rotate()
		s.rotations++
	case 6:
		if creds, ok := s.retrieve(p); ok {
			p.Invalidate(creds)
		}
	case 7:
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
		defer cancel()
		_ = p.Refresh(ctx)
	default:
		for range 3 {
			s.retrieve(p)
			time.Sleep(time.Second)
		}
	}
}

func (s *simulation) retrieve(p *irsa.Provider) (aws.Credentials, bool) {
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Duration(s.random.IntN(15))*time.Second)
	defer cancel()
	creds, err := p.Retrieve(ctx)
	if err != nil {
		if p == s.providers[1] {
			s.callersErrors++
		}
		return creds, false
	}
	s.secrets = append(s.secrets, creds.SecretAccessKey, creds.SessionToken)
	return creds, true
}

// check requires that a scrape contains exactly the series expected from the model and from Status.
func (s *simulation) check() {
	s.t.Helper()
	want := s.model.snapshot()
	for _, p := range s.providers {
		addInitialCounters(want, p.Status())
		addStatus(want, p.Status())
	}
	source, derived := s.providers[0].Status(), s.providers[1].Status()
	want[series("irsa_token_rotations_total", source.RoleARN, "")] = float64(s.rotations)
	got := gather(s.t, s.registry)
	require.Equal(s.t, want, got)

	// Compare with the callers and with STS, independently of Status and events.
	assert.InDelta(s.t, s.callersErrors, got[series("irsa_caller_errors_total", derived.RoleARN, derived.Source)], 0)
	answered := map[string]int{}
	for _, call := range s.kit.STS.Calls() {
		if call.Err == "" {
			answered[call.RoleARN]++
		}
	}
	for _, status := range []irsa.Status{source, derived} {
		assert.InDelta(s.t, answered[status.RoleARN], got[attempts("none", "success", status)], 0)
	}
}

func (s *simulation) checkForSecrets() {
	scrape := httptest.NewRecorder()
	promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}).ServeHTTP(scrape, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, p := range s.providers {
		require.NoError(s.t, p.Close()) // waits until all log lines have been written
	}
	text := scrape.Body.String() + s.log.String()
	require.Contains(s.t, text, "irsa_attempts_total")
	for _, secret := range append(s.secrets, strings.Split(s.pod.Token(), ".")...) {
		require.NotContains(s.t, text, secret)
	}
}

// model holds the metrics expected from events.
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
	case irsa.EventRefreshed:
		m.attempt("none", "success", e)
	case irsa.EventRefreshFailed:
		for name, kind := range kinds {
			if kind == s.Kind {
				m.attempt(snakeCase(name), "failure", e)
			}
		}
	case irsa.EventRejected:
		m.values[series("irsa_rejections_total", s.RoleARN, s.Source)]++
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

// addInitialCounters adds the counters that exist before any event.
func addInitialCounters(want map[string]float64, s irsa.Status) {
	want[attempts("none", "success", s)] += 0
	for name := range kinds {
		want[attempts(snakeCase(name), "failure", s)] += 0
	}
	want[series("irsa_rejections_total", s.RoleARN, s.Source)] += 0
	want[series("irsa_token_rotations_total", s.RoleARN, s.Source)] += 0
}

// addStatus adds the metrics read from a Status.
func addStatus(want map[string]float64, s irsa.Status) {
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
		"irsa_caller_errors_total":       float64(s.ErrorCount),
		"irsa_caller_wait_seconds_count": float64(s.WaitCount),
		"irsa_caller_wait_seconds_sum":   s.WaitDuration.Seconds(),
	} {
		want[series(name, s.RoleARN, s.Source)] = value
	}
}
