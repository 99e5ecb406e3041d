package irsametrics_test

import (
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestPackageDocListsAllMetricsAndLabelValues(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "metrics.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	require.NoError(t, err)
	doc := file.Doc.Text()
	var documented []string
	for _, line := range regexp.MustCompile(`(?m)^\t(irsa_\w+)\s+(?:counter|gauge|histogram|summary)`).FindAllStringSubmatch(doc, -1) {
		documented = append(documented, line[1])
	}

	k, pod := newPod(t)
	p, registry := newObserved(t, pod)
	_, err = p.Retrieve(t.Context())
	require.NoError(t, err)
	k.STS.Fail(irsatest.AccessDenied, 1)
	require.Error(t, p.Refresh(t.Context()))
	families, err := registry.Gather()
	require.NoError(t, err)
	var gathered []string
	value := regexp.MustCompile(`^[a-z_]*$`)
	for _, family := range families {
		gathered = append(gathered, family.GetName())
		assert.Regexp(t, `^[A-Z].*\.$`, family.GetHelp(), family.GetName())
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				switch label.GetName() {
				case "role":
					assert.Equal(t, pod.RoleARN(), label.GetValue())
				case "source":
					assert.Empty(t, label.GetValue())
				default:
					assert.Regexp(t, value, label.GetValue(), "fit for a label matcher without escapes")
					assert.Contains(t, doc, `"`+label.GetValue()+`"`)
				}
			}
		}
	}
	assert.Equal(t, gathered, documented)
	assert.True(t, slices.IsSorted(documented))
}
