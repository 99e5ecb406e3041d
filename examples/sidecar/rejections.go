package main

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/irsakit/irsakit/internal/notify"
)

// logInterval is the minimum interval between log lines for the same reason.
const logInterval = time.Minute

// rejections counts rejected requests and logs each reason at most once a minute. It does not log
// anything sent by a client, and does not block on the log.
type rejections struct {
	requests *prometheus.CounterVec
	logs     map[string]*rate.Sometimes
	lines    notify.Queue[string] // the reasons to log
}

func newRejections() *rejections {
	r := &rejections{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "irsa_sidecar_rejected_requests_total",
			Help: "Requests for credentials that were rejected, by reason.",
		}, []string{"reason"}),
		logs: map[string]*rate.Sometimes{},
	}
	for _, reason := range reasons {
		r.requests.WithLabelValues(reason) // otherwise, increase() would miss the first rejection
		r.logs[reason] = &rate.Sometimes{First: 1, Interval: logInterval}
	}
	return r
}

// count counts a rejected request.
func (r *rejections) count(reason string) {
	r.requests.WithLabelValues(reason).Inc()
	r.logs[reason].Do(func() { r.lines.Put(reason, logRejection) })
}

func logRejection(reason string) {
	slog.Warn("rejected a request for credentials; further ones are logged once a minute", "reason", reason)
}
