package irsametrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
)

func desc(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, labels, nil) }

// timestamps are the times in a Status. A zero time has no series.
var timestamps = []struct {
	desc *prometheus.Desc
	get  func(irsa.Status) time.Time
}{
	{
		desc("irsa_credentials_expiry_timestamp_seconds", "Time at which the current credentials stop being served."),
		func(s irsa.Status) time.Time { return s.Expires },
	},
	{
		desc("irsa_last_success_timestamp_seconds", "Time of the last successful exchange with STS."),
		func(s irsa.Status) time.Time { return s.LastSuccess },
	},
	{
		desc("irsa_next_refresh_timestamp_seconds", "Time of the next scheduled exchange with STS. Absent during an exchange, and while the next exchange waits for a caller."),
		func(s irsa.Status) time.Time { return s.NextAttempt },
	},
	{
		desc("irsa_token_issued_timestamp_seconds", "Time at which the newest web identity token was issued."),
		func(s irsa.Status) time.Time { return s.TokenIssued },
	},
	{
		desc("irsa_token_expiry_timestamp_seconds", "Time at which the newest web identity token expires."),
		func(s irsa.Status) time.Time { return s.TokenExpiry },
	},
}

// numbers are the remaining gauges and counters in a Status.
var numbers = []struct {
	desc  *prometheus.Desc
	value prometheus.ValueType
	get   func(irsa.Status) float64
}{
	{
		desc("irsa_credentials_valid", "Whether valid credentials are available: 1 or 0."),
		prometheus.GaugeValue, valid,
	},
	{
		desc("irsa_consecutive_failures", "Failed exchanges with STS since the last successful one."),
		prometheus.GaugeValue, func(s irsa.Status) float64 { return float64(s.Failures) },
	},
	{
		desc("irsa_caller_errors_total", "Calls that returned an error because no valid credentials were available."),
		prometheus.CounterValue, func(s irsa.Status) float64 { return float64(s.ErrorCount) },
	},
}

var waits = desc("irsa_caller_wait_seconds", "Time that calls had to wait for credentials. Calls that did not wait are not counted.")

func valid(s irsa.Status) float64 {
	if s.State == cache.Fresh || s.State == cache.Stale {
		return 1
	}
	return 0
}

// callers counts what callers experienced. Unlike a Status, the sum for several Providers never
// decreases when one of them is added or closed.
type callers struct {
	errors, waits int64
	waited        time.Duration
}

func callersOf(s irsa.Status) callers { return callers{s.ErrorCount, s.WaitCount, s.WaitDuration} }

// in returns a Status with these counts.
func (c callers) in(s irsa.Status) irsa.Status {
	s.ErrorCount, s.WaitCount, s.WaitDuration = c.errors, c.waits, c.waited
	return s
}

func describe(ch chan<- *prometheus.Desc) {
	for _, t := range timestamps {
		ch <- t.desc
	}
	for _, n := range numbers {
		ch <- n.desc
	}
	ch <- waits
}

// report sends the metrics for a Status to ch.
func report(ch chan<- prometheus.Metric, s irsa.Status) {
	for _, t := range timestamps {
		if at := t.get(s); !at.IsZero() {
			ch <- prometheus.MustNewConstMetric(t.desc, prometheus.GaugeValue, float64(at.UnixMilli())/1e3, s.RoleARN, s.Source)
		}
	}
	for _, n := range numbers {
		ch <- prometheus.MustNewConstMetric(n.desc, n.value, n.get(s), s.RoleARN, s.Source)
	}
	ch <- prometheus.MustNewConstSummary(waits, uint64(s.WaitCount), s.WaitDuration.Seconds(), nil, s.RoleARN, s.Source)
}
