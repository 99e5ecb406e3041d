package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestTelemetryTracesEachExchange(t *testing.T) {
	const exchange = "STS.AssumeRoleWithWebIdentity"
	k, pod := newPod(t)
	telemetry := newTelemetry()
	exporter := tracetest.NewInMemoryExporter()
	telemetry.traces.RegisterSpanProcessor(sdktrace.NewSimpleSpanProcessor(exporter))
	p, _ := newObserved(t, pod, telemetry.options)
	creds, err := p.Retrieve(t.Context())
	require.NoError(t, err)
	k.STS.Fail(irsatest.AccessDenied, 1)
	require.Error(t, p.Refresh(t.Context()))

	var statuses []codes.Code
	for _, span := range exporter.GetSpans() {
		if !span.Parent.IsValid() {
			assert.Equal(t, exchange, span.Name)
			statuses = append(statuses, span.Status.Code)
		}
	}
	require.Len(t, statuses, 2)
	assert.NotEqual(t, codes.Error, statuses[0])
	assert.Equal(t, codes.Error, statuses[1])

	var out bytes.Buffer
	require.NoError(t, telemetry.print(t.Context(), &out))
	assert.Contains(t, out.String(), "span "+exchange+": 2, 1 failed\n")
	assert.Contains(t, out.String(), "meter client.call.duration (s)\n")

	var metrics metricdata.ResourceMetrics
	require.NoError(t, telemetry.reader.Collect(t.Context(), &metrics))
	all := fmt.Sprintf("%+v %+v", exporter.GetSpans(), metrics)
	for _, secret := range append(strings.Split(pod.Token(), "."), creds.SecretAccessKey, creds.SessionToken) {
		require.NotContains(t, all, secret)
	}
	require.NoError(t, telemetry.shutdown(t.Context()))
}
