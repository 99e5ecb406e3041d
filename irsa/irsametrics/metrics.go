// Package irsametrics exports the state of irsa Providers as Prometheus metrics: how long
// credentials remain valid, how exchanges with STS end, what callers experience, and whether
// the kubelet rotates the token.
//
// [Metrics] is a prometheus.Collector. A complete program:
//
//	package main
//
//	import (
//		"log"
//		"net/http"
//		"time"
//
//		"github.com/prometheus/client_golang/prometheus"
//		"github.com/prometheus/client_golang/prometheus/promhttp"
//
//		"github.com/irsakit/irsakit/irsa"
//		"github.com/irsakit/irsakit/irsa/irsametrics"
//	)
//
//	func main() {
//		metrics := irsametrics.New()
//		prometheus.MustRegister(metrics)
//		p, err := irsa.New(func(o *irsa.Options) { o.Observe = metrics.Observe })
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer p.Close()
//		metrics.Add(p)
//		http.Handle("GET /metrics", promhttp.Handler())
//		server := &http.Server{Addr: ":9090", ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second}
//		log.Print(server.ListenAndServe())
//	}
//
// A scrape reads the Status of each Provider. Attempts, durations, rejections and rotations
// are counted from events. A cached Retrieve takes the same time with and without metrics.
//
// # Metrics
//
// All metrics have a role and a source label. The role is the ARN of the assumed role. The
// source is the ARN of the role that assumes it, or empty if the role is assumed with a web
// identity token.
//
//	irsa_attempts_total                          counter, by outcome and kind
//	irsa_caller_errors_total                     counter
//	irsa_caller_wait_seconds                     summary without quantiles
//	irsa_consecutive_failures                    gauge
//	irsa_credentials_expiry_timestamp_seconds    gauge
//	irsa_credentials_valid                       gauge, 0 or 1
//	irsa_exchange_duration_seconds               histogram, by outcome
//	irsa_last_success_timestamp_seconds          gauge
//	irsa_next_refresh_timestamp_seconds          gauge
//	irsa_rejections_total                        counter
//	irsa_token_expiry_timestamp_seconds          gauge
//	irsa_token_issued_timestamp_seconds          gauge
//	irsa_token_rotations_total                   counter
//
// The outcome label is "success" or "failure". The kind label is "none" on success, and
// otherwise the kind of error: "not_configured", "token_file", "token_expired",
// "token_rejected", "access_denied", "throttled", "unavailable", "invalid_request", "closed",
// "rejected" or "other". Labels never contain secrets.
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

// Metrics is a [prometheus.Collector] for Providers, created with [New]. Its methods are safe for
// concurrent use. It does not keep Providers alive.
type Metrics struct {
	attempts, rotations, rejections *prometheus.CounterVec
	durations                       *prometheus.HistogramVec

	mu        sync.Mutex // guards the set of series and the fields below
	providers map[series][]weak.Pointer[irsa.Provider]
	issued    map[series]time.Time // when the newest token reported by an event was issued
	callers   map[series]callers   // what the callers of all Providers experienced, up to the last scrape
	counted   map[weak.Pointer[irsa.Provider]]callers
}

// series identifies the metrics of a Provider.
type series struct{ role, source string }

func seriesOf(s irsa.Status) series { return series{s.RoleARN, s.Source} }

// labels are the label names of a series. The source is empty if the role is assumed with a web
// identity token.
var labels = []string{"role", "source"}

// New returns Metrics without any Providers. Register it, set [Metrics.Observe] as the Observe option
// of each Provider, and add each Provider with [Metrics.Add].
func New() *Metrics {
	counter := func(name, help string, more ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append(labels[:2:2], more...))
	}
	return &Metrics{
		attempts: counter("irsa_attempts_total",
			"Completed exchanges with STS, by outcome and kind of error.", "outcome", "kind"),
		rotations: counter("irsa_token_rotations_total",
			"Newer web identity tokens seen after the first one."),
		rejections: counter("irsa_rejections_total",
			"Credentials that an AWS service rejected."),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "irsa_exchange_duration_seconds",
			Help:    "Duration of completed exchanges with STS, by outcome.",
			Buckets: []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 9, 15}, // an exchange times out after 10 s
		}, append(labels[:2:2], "outcome")),
		providers: map[series][]weak.Pointer[irsa.Provider]{},
		issued:    map[series]time.Time{},
		callers:   map[series]callers{},
		counted:   map[weak.Pointer[irsa.Provider]]callers{},
	}
}

// Add adds p to the metrics until p is closed or garbage collected. If several Providers have the
// same role and source, the gauges are from the Status of the Provider added last, and the counters
// include all of them. Adding a Provider again only makes it the last one.
//
// A Provider that has not been added has no series, even if it shares Observe. Providers returned by
// AssumeRole must be added individually. Each Provider adds about fifty series, so add only a few of
// the Providers in a Pool.
func (m *Metrics) Add(p *irsa.Provider) {
	status, added := p.Status(), weak.Make(p)
	if status.State == cache.Closed {
		return
	}
	s := seriesOf(status)
	m.mu.Lock()
	defer m.mu.Unlock()
	others := slices.DeleteFunc(m.providers[s], func(w weak.Pointer[irsa.Provider]) bool { return w == added })
	m.providers[s] = append(others, added)
	m.createCounters(s) // otherwise, increase() would miss the first failure
}

// createCounters creates the counters of a series with an initial value of 0, unless they exist.
func (m *Metrics) createCounters(s series) {
	m.attempts.WithLabelValues(s.role, s.source, success, noKind)
	for _, kind := range kinds {
		m.attempts.WithLabelValues(s.role, s.source, failure, kind)
	}
	m.rotations.WithLabelValues(s.role, s.source)
	m.rejections.WithLabelValues(s.role, s.source)
}

// remove removes a series that no longer has a Provider. m.mu must be held.
func (m *Metrics) remove(s series) {
	delete(m.providers, s)
	delete(m.issued, s)
	delete(m.callers, s)
	match := prometheus.Labels{labels[0]: s.role, labels[1]: s.source}
	m.attempts.DeletePartialMatch(match)
	m.rotations.DeletePartialMatch(match)
	m.rejections.DeletePartialMatch(match)
	m.durations.DeletePartialMatch(match)
}

// Observe counts an event of an added Provider and ignores events of others. Set it as the Observe
// field of [irsa.Options].
func (m *Metrics) Observe(e irsa.Event) {
	s := seriesOf(e.Status)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.providers[s] == nil {
		return
	}
	switch e.Kind {
	case irsa.EventRefreshed:
		m.countAttempt(s, success, noKind, e)
	case irsa.EventRefreshFailed:
		m.countAttempt(s, failure, kindLabel(e.Status.Kind), e)
	case irsa.EventRejected:
		m.rejections.WithLabelValues(s.role, s.source).Inc()
	}
	m.countRotation(s, e.Status.TokenIssued)
}

func (m *Metrics) countAttempt(s series, outcome, kind string, e irsa.Event) {
	m.attempts.WithLabelValues(s.role, s.source, outcome, kind).Inc()
	m.durations.WithLabelValues(s.role, s.source, outcome).Observe(e.Took.Seconds())
}

// countRotation counts a token that is newer than the last token seen. Not every rotation has its own
// event, because an exchange may be the first to read the new token. m.mu must be held.
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

// Describe implements [prometheus.Collector]. It sends the descriptions of all metrics.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.attempts.Describe(ch)
	m.rotations.Describe(ch)
	m.rejections.Describe(ch)
	m.durations.Describe(ch)
	describe(ch)
}

// Collect implements [prometheus.Collector]. It sends the metrics of all added Providers, and removes
// the series of Providers that have been closed or garbage collected.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, status := range m.statuses() {
		report(ch, status)
	}
	m.attempts.Collect(ch)
	m.rotations.Collect(ch)
	m.rejections.Collect(ch)
	m.durations.Collect(ch)
}

// statuses returns, for each series, the Status of the newest Provider that is still in use, with the
// counts of all Providers. It removes series without one.
func (m *Metrics) statuses() []irsa.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []irsa.Status
	for s, providers := range m.providers {
		var newest irsa.Status
		alive := slices.DeleteFunc(providers, func(w weak.Pointer[irsa.Provider]) bool {
			p := w.Value()
			if p == nil {
				delete(m.counted, w)
				return true
			}
			status := p.Status()
			m.countCallers(s, w, callersOf(status))
			if status.State == cache.Closed {
				delete(m.counted, w)
				return true
			}
			newest = status
			return false
		})
		if len(alive) == 0 {
			m.remove(s)
			continue
		}
		m.providers[s] = alive
		out = append(out, m.callers[s].in(newest))
	}
	return out
}

// countCallers adds what the callers of a Provider experienced since the last scrape to its series.
// m.mu must be held.
func (m *Metrics) countCallers(s series, w weak.Pointer[irsa.Provider], c callers) {
	total, before := m.callers[s], m.counted[w]
	m.callers[s] = callers{total.errors + c.errors - before.errors, total.waits + c.waits - before.waits, total.waited + c.waited - before.waited}
	m.counted[w] = c
}
