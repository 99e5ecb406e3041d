// Package irsametrics gives Prometheus the metrics of irsa Providers. What the Status of a
// Provider knows is read from it at each scrape; the rest is counted from its events.
//
//	metrics := irsametrics.New()
//	p, err := irsa.New(func(o *irsa.Options) { o.Observe = metrics.Observe })
//	metrics.Add(p)
//	prometheus.MustRegister(metrics)
package irsametrics

import (
	"slices"
	"sync"
	"time"
	"weak"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
)

// Metrics is a [prometheus.Collector] of Providers. Make it with [New]. It is safe for
// concurrent use.
type Metrics struct {
	attempts, rotations, refusals *prometheus.CounterVec
	durations                     *prometheus.HistogramVec

	mu        sync.Mutex // guards what series there are, and what follows
	providers map[series][]weak.Pointer[irsa.Provider]
	issued    map[series]time.Time // the newest token that an event told of
}

// series is what all metrics of a Provider are told apart by.
type series struct{ role, source string }

func seriesOf(s irsa.Status) series { return series{s.RoleARN, s.Source} }

// labels are the names of a series' parts. Source is empty where a token assumes the role.
var labels = []string{"role", "source"}

// New returns Metrics of no Provider yet.
func New() *Metrics {
	counter := func(name, help string, more ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append(labels[:2:2], more...))
	}
	return &Metrics{
		attempts: counter("irsa_attempts_total",
			"Exchanges with STS that ended, by outcome and by the kind of failure.", "outcome", "kind"),
		rotations: counter("irsa_token_rotations_total",
			"Newer tokens that came after the first one."),
		refusals: counter("irsa_refusals_total",
			"Credentials that a service refused as expired."),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "irsa_exchange_duration_seconds",
			Help:    "How long exchanges with STS took.",
			Buckets: []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 9, 15}, // one that hangs ends after 10 s
		}, append(labels[:2:2], "outcome")),
		providers: map[series][]weak.Pointer[irsa.Provider]{},
		issued:    map[series]time.Time{},
	}
}

// Add has each scrape read p's Status, until p is closed or dropped. Of Providers with the
// same role and source the last one is read, and the events of all of them are counted.
//
// Providers that were not added have no series, though they may share Observe: those of
// AssumeRole, and those of a Pool, where each role would be some thirty series.
func (m *Metrics) Add(p *irsa.Provider) {
	s := seriesOf(p.Status())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.providers[s] = append(m.providers[s], weak.Make(p))
	m.begin(s) // a series that begins with its first failure hides it from increase()
}

// begin makes the counters of a series, with the value 0 where they are new.
func (m *Metrics) begin(s series) {
	m.attempts.WithLabelValues(s.role, s.source, success, noKind)
	for _, kind := range kinds {
		m.attempts.WithLabelValues(s.role, s.source, failure, kind)
	}
	m.rotations.WithLabelValues(s.role, s.source)
	m.refusals.WithLabelValues(s.role, s.source)
}

// end removes a series whose Provider is gone. m.mu is held.
func (m *Metrics) end(s series) {
	delete(m.providers, s)
	delete(m.issued, s)
	gone := prometheus.Labels{labels[0]: s.role, labels[1]: s.source}
	m.attempts.DeletePartialMatch(gone)
	m.rotations.DeletePartialMatch(gone)
	m.refusals.DeletePartialMatch(gone)
	m.durations.DeletePartialMatch(gone)
}

// Observe counts an event of a Provider that was added. It is for [irsa.Options].Observe.
func (m *Metrics) Observe(e irsa.Event) {
	s := seriesOf(e.Status)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.providers[s] == nil {
		return
	}
	switch e.Kind {
	case irsa.Refreshed:
		m.attempted(s, success, noKind, e)
	case irsa.RefreshFailed:
		m.attempted(s, failure, kindOf(e.Status.Kind), e)
	case irsa.Refused:
		m.refusals.WithLabelValues(s.role, s.source).Inc()
	}
	m.token(s, e.Status.TokenIssued)
}

func (m *Metrics) attempted(s series, outcome, kind string, e irsa.Event) {
	m.attempts.WithLabelValues(s.role, s.source, outcome, kind).Inc()
	m.durations.WithLabelValues(s.role, s.source, outcome).Observe(e.Took.Seconds())
}

// token counts a newer token than the last. Not all of them are an event of their own: an
// exchange may be the first to see one. m.mu is held.
func (m *Metrics) token(s series, issued time.Time) {
	last := m.issued[s]
	if !issued.After(last) {
		return
	}
	m.issued[s] = issued
	if !last.IsZero() {
		m.rotations.WithLabelValues(s.role, s.source).Inc()
	}
}

// Describe implements [prometheus.Collector].
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.attempts.Describe(ch)
	m.rotations.Describe(ch)
	m.refusals.Describe(ch)
	m.durations.Describe(ch)
	describe(ch)
}

// Collect implements [prometheus.Collector].
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, status := range m.statuses() {
		report(ch, status)
	}
	m.attempts.Collect(ch)
	m.rotations.Collect(ch)
	m.refusals.Collect(ch)
	m.durations.Collect(ch)
}

// statuses returns one for each series, of the last of its Providers that are still there,
// and removes the series that have none.
func (m *Metrics) statuses() []irsa.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []irsa.Status
	for s, providers := range m.providers {
		alive := slices.DeleteFunc(providers, gone)
		if len(alive) == 0 {
			m.end(s)
			continue
		}
		m.providers[s] = alive
		if p := alive[len(alive)-1].Value(); p != nil {
			out = append(out, p.Status())
		}
	}
	return out
}

// gone says that a Provider has been closed or dropped.
func gone(w weak.Pointer[irsa.Provider]) bool {
	p := w.Value()
	return p == nil || p.Status().State == cache.Closed
}
