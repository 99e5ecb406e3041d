package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// ruleFile is a file of Prometheus alert rules.
type ruleFile struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []rule `yaml:"rules"`
	} `yaml:"groups"`
}

type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func readAlerts(t *testing.T) []rule {
	t.Helper()
	file, err := os.ReadFile("alerts.yaml")
	require.NoError(t, err)
	var parsed ruleFile
	decoder := yaml.NewDecoder(bytes.NewReader(file))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&parsed))
	require.Len(t, parsed.Groups, 1)
	require.Len(t, parsed.Groups[0].Rules, 4)
	for _, rule := range parsed.Groups[0].Rules {
		if rule.For != "" {
			_, err := time.ParseDuration(rule.For) // a format accepted by both Prometheus and Go
			require.NoError(t, err)
		}
	}
	return parsed.Groups[0].Rules
}

func TestAlertsUseExistingMetrics(t *testing.T) {
	_, pod := newPod(t)
	p, metrics := newObserved(t, pod)
	_, err := p.Retrieve(t.Context())
	require.NoError(t, err)
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)
	families, err := registry.Gather()
	require.NoError(t, err)
	labels := map[string]map[string]bool{} // keyed by metric
	for _, family := range families {
		labels[family.GetName()] = map[string]bool{"__name__": true}
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				labels[family.GetName()][label.GetName()+"="+label.GetValue()] = true
			}
		}
	}
	for _, rule := range readAlerts(t) {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(rule.Expr)
		require.NoError(t, err, rule.Alert)
		assert.Equal(t, parser.ValueTypeVector, expr.Type(), rule.Alert)
		selectors := 0
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			selector, ok := node.(*parser.VectorSelector)
			if !ok {
				return nil
			}
			selectors++
			require.Contains(t, labels, selector.Name, rule.Alert)
			for _, matcher := range selector.LabelMatchers {
				if matcher.Name != "__name__" {
					assert.Contains(t, labels[selector.Name], matcher.Name+"="+matcher.Value, rule.Alert)
				}
			}
			return nil
		})
		assert.Positive(t, selectors, rule.Alert)
	}
}

func TestAlertsHaveTextAndRunbook(t *testing.T) {
	const runbook = "https://github.com/irsakit/irsakit/blob/main/TROUBLESHOOTING.md"
	troubleshooting, err := os.ReadFile("../../TROUBLESHOOTING.md")
	require.NoError(t, err)
	functions := template.FuncMap{"humanize": func(any) string { return "" }, "humanizeDuration": func(any) string { return "" }}
	for _, rule := range readAlerts(t) {
		assert.Contains(t, []string{"warning", "critical"}, rule.Labels["severity"], rule.Alert)
		for _, name := range []string{"summary", "description"} {
			text := rule.Annotations[name]
			assert.NotEmpty(t, text, rule.Alert)
			_, err := template.New(rule.Alert).Funcs(functions).Parse("{{$labels := .Labels}}{{$value := .Value}}" + text)
			require.NoError(t, err)
		}
		link, heading, found := strings.Cut(rule.Annotations["runbook_url"], "#")
		assert.Equal(t, runbook, link, rule.Alert)
		if found {
			assert.Contains(t, string(troubleshooting), "\n## "+heading+"\n", rule.Alert)
		}
	}
}
