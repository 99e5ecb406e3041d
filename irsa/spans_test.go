package irsa_test

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/aws/smithy-go/tracing"
)

// printedSpans is a TracerProvider, Tracer and Span that prints everything, like an OpenTelemetry
// exporter.
type printedSpans struct{ out *output }

func (s printedSpans) Tracer(scope string, _ ...tracing.TracerOption) tracing.Tracer {
	s.out.print(scope)
	return s
}

func (s printedSpans) StartSpan(ctx context.Context, name string, optFns ...tracing.SpanOption) (context.Context, tracing.Span) {
	var o tracing.SpanOptions
	for _, fn := range optFns {
		fn(&o)
	}
	s.out.print(name)
	s.out.print(o)
	return tracing.WithSpan(ctx, s), s
}

func (s printedSpans) AddEvent(name string, optFns ...tracing.EventOption) {
	var o tracing.EventOptions
	for _, fn := range optFns {
		fn(&o)
	}
	s.out.print(name)
	s.out.print(o)
}

func (s printedSpans) Name() string                 { return "" }
func (s printedSpans) Context() tracing.SpanContext { return tracing.SpanContext{} }
func (s printedSpans) SetStatus(tracing.SpanStatus) {}
func (s printedSpans) SetProperty(k, v any)         { fmt.Fprintf(s.out, "%v=%v %+v\n", k, v, v) }
func (s printedSpans) End()                         {}

var byteList = regexp.MustCompile(`\[\d{1,3}(?: \d{1,3})+\]`)

// byteLists decodes the byte slices in text, which fmt prints as decimal numbers.
func byteLists(text string) string {
	var b strings.Builder
	for _, list := range byteList.FindAllString(text, -1) {
		b.WriteByte('\n')
		for number := range strings.FieldsSeq(strings.Trim(list, "[]")) {
			n, _ := strconv.Atoi(number)
			b.WriteByte(byte(n))
		}
	}
	return b.String()
}
