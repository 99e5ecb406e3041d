// Package irsametrics exports the metrics of irsa Providers to Prometheus. At each scrape it
// reads the Status of each Provider; all other metrics are counted from events.
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

// Metrics is a [prometheus.Collector] for Providers. Create it with [New]. It is safe for
// concurrent use.
type Metrics struct {
	attempts, rotations, refusals *prometheus.CounterVec
	durations                     *prometheus.HistogramVec

	mu        sync.Mutex // guards the set of series and the fields below
	providers map[series][]weak.Pointer[irsa.Provider]
	issued    map[series]time.Time // when the newest token reported by an event was issued
}

// series identifies the metrics of a Provider.
type series struct{ role, source string }

func seriesOf(s irsa.Status) series { return series{s.RoleARN, s.Source} }

// labels are the label names of a series. The source is empty if the role is assumed with a
// web identity token.
var labels = []string{"role", "source"}

// New returns Metrics without Providers. Call [Metrics.Add] for each Provider.
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
			Buckets: []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 9, 15}, // an exchange times out after 10 s
		}, append(labels[:2:2], "outcome")),
		providers: map[series][]weak.Pointer[irsa.Provider]{},
		issued:    map[series]time.Time{},
	}
}

// Add adds p to the metrics until p is closed or garbage collected. If several Providers
// have the same role and source, each scrape reads the Status of the one added last, and
// the events of all of them are counted.
//
// Providers that were not added have no series, even if they share Observe. These may be
// the Providers of AssumeRole, or those of a Pool, where each role would add about thirty
// series.
func (m *Metrics) Add(p *irsa.Provider) {
	s := seriesOf(p.Status())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.providers[s] = append(m.providers[s], weak.Make(p))
	m.createCounters(s) // increase() would miss the first failure if it created the series
}

// createCounters creates the counters of a series with the value 0, unless they exist.
func (m *Metrics) createCounters(s series) {
	m.attempts.WithLabelValues(s.role, s.source, success, noKind)
	for _, kind := range kinds {
		m.attempts.WithLabelValues(s.role, s.source, failure, kind)
	}
	m.rotations.WithLabelValues(s.role, s.source)
	m.refusals.WithLabelValues(s.role, s.source)
}

// remove removes a series that has no Provider left. m.mu must be held.
func (m *Metrics) remove(s series) {
	delete(m.providers, s)
	delete(m.issued, s)
	match := prometheus.Labels{labels[0]: s.role, labels[1]: s.source}
	m.attempts.DeletePartialMatch(match)
	m.rotations.DeletePartialMatch(match)
	m.refusals.DeletePartialMatch(match)
	m.durations.DeletePartialMatch(match)
}

// Observe counts an event of an added Provider. Set it as [irsa.Options].Observe.
func (m *Metrics) Observe(e irsa.Event) {
	s := seriesOf(e.Status)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.providers[s] == nil {
		return
	}
	switch e.Kind {
	case irsa.Refreshed:
		m.countAttempt(s, success, noKind, e)
	case irsa.RefreshFailed:
		m.countAttempt(s, failure, kindLabel(e.Status.Kind), e)
	case irsa.Refused:
		m.refusals.WithLabelValues(s.role, s.source).Inc()
	}
	m.countRotation(s, e.Status.TokenIssued)
}

func (m *Metrics) countAttempt(s series, outcome, kind string, e irsa.Event) {
	m.attempts.WithLabelValues(s.role, s.source, outcome, kind).Inc()
	m.durations.WithLabelValues(s.role, s.source, outcome).Observe(e.Took.Seconds())
}

// countRotation counts a token that is newer than the last one. A rotation does not always
// cause its own event, because an exchange may be the first to read the new token. m.mu
// must be held.
func (m *Metrics) countRotation(s series, issued time.Time) {
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

// statuses returns the Status of each series' newest Provider that is still in use. It
// removes the series that have none.
func (m *Metrics) statuses() []irsa.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []irsa.Status
	for s, providers := range m.providers {
		alive := slices.DeleteFunc(providers, closedOrCollected)
		if len(alive) == 0 {
			m.remove(s)
			continue
		}
		m.providers[s] = alive
		if p := alive[len(alive)-1].Value(); p != nil {
			out = append(out, p.Status())
		}
	}
	return out
}

// closedOrCollected reports whether a Provider has been closed or garbage collected.
func closedOrCollected(w weak.Pointer[irsa.Provider]) bool {
	p := w.Value()
	return p == nil || p.Status().State == cache.Closed
}
