package irsametrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
)

func desc(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, labels, nil) }

// timestamps are the times of a Status. A zero time has no series.
var timestamps = []struct {
	desc *prometheus.Desc
	get  func(irsa.Status) time.Time
}{
	{
		desc("irsa_credentials_expiry_timestamp_seconds", "Until when the credentials are served."),
		func(s irsa.Status) time.Time { return s.Expires },
	},
	{
		desc("irsa_last_success_timestamp_seconds", "When the newest credentials came."),
		func(s irsa.Status) time.Time { return s.LastSuccess },
	},
	{
		desc("irsa_next_refresh_timestamp_seconds", "When the next exchange with STS begins; absent while one is under way, or where the next caller begins it."),
		func(s irsa.Status) time.Time { return s.NextAttempt },
	},
	{
		desc("irsa_token_issued_timestamp_seconds", "When the newest token that was seen was issued."),
		func(s irsa.Status) time.Time { return s.TokenIssued },
	},
	{
		desc("irsa_token_expiry_timestamp_seconds", "When the newest token that was seen expires."),
		func(s irsa.Status) time.Time { return s.TokenExpiry },
	},
}

// numbers are the other gauges and counters of a Status.
var numbers = []struct {
	desc  *prometheus.Desc
	value prometheus.ValueType
	get   func(irsa.Status) float64
}{
	{
		desc("irsa_credentials_valid", "1 where there are credentials to serve, else 0."),
		prometheus.GaugeValue, valid,
	},
	{
		desc("irsa_consecutive_failures", "Exchanges with STS that failed since the last one that did not."),
		prometheus.GaugeValue, func(s irsa.Status) float64 { return float64(s.Failures) },
	},
	{
		desc("irsa_caller_errors_total", "Callers who got an error because there were no credentials."),
		prometheus.CounterValue, func(s irsa.Status) float64 { return float64(s.Errors) },
	},
}

var waits = desc("irsa_caller_wait_seconds", "How long callers waited who did not get credentials at once.")

func valid(s irsa.Status) float64 {
	if s.State == cache.Fresh || s.State == cache.Stale {
		return 1
	}
	return 0
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

// report sends the metrics of a Status to ch.
func report(ch chan<- prometheus.Metric, s irsa.Status) {
	for _, t := range timestamps {
		if at := t.get(s); !at.IsZero() {
			ch <- prometheus.MustNewConstMetric(t.desc, prometheus.GaugeValue, float64(at.UnixMilli())/1e3, s.RoleARN, s.Source)
		}
	}
	for _, n := range numbers {
		ch <- prometheus.MustNewConstMetric(n.desc, n.value, n.get(s), s.RoleARN, s.Source)
	}
	ch <- prometheus.MustNewConstSummary(waits, uint64(s.Waits), s.Waited.Seconds(), nil, s.RoleARN, s.Source)
}
