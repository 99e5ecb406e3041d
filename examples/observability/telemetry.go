package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/aws/smithy-go/metrics/smithyotelmetrics"
	"github.com/aws/smithy-go/tracing/smithyoteltracing"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/irsakit/irsakit/irsa"
)

// telemetry collects OpenTelemetry traces and metrics for each exchange with STS, and only counts
// them. In a cluster, use exporters such as otlptracegrpc and otlpmetricgrpc instead.
type telemetry struct {
	traces *sdktrace.TracerProvider
	meters *sdkmetric.MeterProvider
	spans  *spans
	reader *sdkmetric.ManualReader
}

func newTelemetry() *telemetry {
	t := &telemetry{spans: &spans{}, reader: sdkmetric.NewManualReader()}
	// A syncer does not lose spans at the end of this short program, but it is called during the
	// exchange. In a real program, pass the exporter to WithBatcher.
	t.traces = sdktrace.NewTracerProvider(sdktrace.WithSyncer(t.spans))
	t.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(t.reader))
	return t
}

// options configures the STS client to report to t.
func (t *telemetry) options(o *irsa.Options) {
	o.TracerProvider = smithyoteltracing.Adapt(t.traces)
	o.MeterProvider = smithyotelmetrics.Adapt(t.meters)
}

func (t *telemetry) shutdown(ctx context.Context) error {
	return errors.Join(t.traces.Shutdown(ctx), t.meters.Shutdown(ctx))
}

// print prints the span counts and instrument names.
func (t *telemetry) print(ctx context.Context, out io.Writer) error {
	t.spans.print(out)
	var all metricdata.ResourceMetrics
	if err := t.reader.Collect(ctx, &all); err != nil {
		return err
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			fmt.Fprintf(out, "meter %s (%s)\n", m.Name, m.Unit)
		}
	}
	return nil
}

// spans is an exporter that counts spans by name.
type spans struct {
	mu   sync.Mutex
	seen map[string]struct{ all, failed int }
}

// ExportSpans implements [sdktrace.SpanExporter].
func (s *spans) ExportSpans(_ context.Context, ended []sdktrace.ReadOnlySpan) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[string]struct{ all, failed int }{}
	}
	for _, span := range ended {
		n := s.seen[span.Name()]
		n.all++
		if span.Status().Code == codes.Error {
			n.failed++
		}
		s.seen[span.Name()] = n
	}
	return nil
}

// Shutdown implements [sdktrace.SpanExporter].
func (s *spans) Shutdown(context.Context) error { return nil }

func (s *spans) print(out io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.seen)) {
		fmt.Fprintf(out, "span %s: %d, %d failed\n", name, s.seen[name].all, s.seen[name].failed)
	}
}
