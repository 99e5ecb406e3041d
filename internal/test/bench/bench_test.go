package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	prepare()
	os.Exit(m.Run())
}

// small is a plan that takes seconds. Its figures are not meaningful.
var small = func() plan {
	p := full
	p.Runs = 1
	p.Cached = cachedPlan{Rounds: 1, Time: "5ms", Roles: 20, Certificates: 10}
	p.Steady = steadyPlan{Callers: 4, Every: 10 * time.Millisecond, Run: 2 * time.Second, Lifetime: 10 * time.Minute, Latency: 20 * time.Millisecond}
	p.Start.Times = 1
	p.Roles = rolesPlan{Roles: 20, Lifetime: 4 * time.Second, Run: time.Second, Latency: time.Millisecond}
	p.Outage.Callers = 2
	p.Rotation.Providers, p.Rotation.Expired = 10, 1
	p.Herd.Pods, p.Herd.Lifetimes = 50, 2
	p.Survival.Pods = 4
	p.Controller.Tenants, p.Controller.Every = 2, time.Minute
	return p
}()

func TestMeasureAllReturnsFiguresForLimitsAndPage(t *testing.T) {
	var out bytes.Buffer
	r := measureAll(t, small, "", &out)
	requireComplete(t, r, small)
	for _, row := range r.checked() {
		assert.NotEmpty(t, row[2], row)
		assert.Contains(t, out.String(), row[1])
	}
}

// The page in the repository is generated from its figures.
func TestReportGeneratesPublishedPage(t *testing.T) {
	const published = "../../../docs"
	r, err := readReport(published)
	require.NoError(t, err)
	requireComplete(t, r, full)
	docs := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(docs, "performance"), 0o755))
	require.NoError(t, writeDocs(docs, r))
	files, err := r.docFiles()
	require.NoError(t, err)
	require.Len(t, files, 2+len(charts)*len(themes))
	for name := range files {
		want, err := os.ReadFile(filepath.Join(docs, name))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(published, name))
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got), "%s: run go -C internal/test/bench run . -docs ../../../docs -redraw", name)
	}
}

// requireComplete checks that a report of the plan contains all measures and charts, and what the
// simulations show with any plan.
func requireComplete(t *testing.T, r *report, p plan) {
	t.Helper()
	require.Equal(t, p, r.Plan)
	require.Len(t, r.Sheets, len(p.measures()))
	assert.Len(t, r.checked(), len(limits))
	files, err := r.docFiles()
	require.NoError(t, err)
	for _, c := range charts {
		assert.Contains(t, files["performance.md"], `alt="`+c.Title+`"`)
		for _, theme := range themes {
			name := "performance/" + c.File + "-" + theme.name + ".svg"
			assert.Contains(t, files["performance.md"], name)
			for _, contender := range c.contenders {
				assert.Contains(t, files[name], ">"+contender+"<", name)
			}
		}
	}

	median := func(measure, scene, contender, name string) float64 {
		return r.Sheet(measure).find(scene, contender, name).median()
	}
	for _, kind := range kinds {
		assert.Zero(t, median("outage", shorter+kind.name, ours, failures), kind.name)
	}
	assert.Zero(t, median("rotation", inPlace, ours, failures))
	assert.NotZero(t, median("rotation", inPlace, sdk, failures))
	assert.InDelta(t, p.Herd.Pods, median("herd", "", sdk, later), 0)
	assert.Less(t, median("herd", "", ours, later), float64(p.Herd.Pods))
	assert.Zero(t, median("herd", "", ours, failures))
	for _, d := range p.Survival.Durations {
		assert.GreaterOrEqual(t, median("survival", short(d), ours, noneFails), 0.18*float64(d))
	}
	assert.Less(t, median("controller", "", ours, stsCalls), median("controller", "", eachTime, stsCalls))
	assert.Zero(t, median("controller", "", ours, failures))
}

func TestFigureStringContainsMedianAndRange(t *testing.T) {
	for want, f := range map[string]figure{
		"2.00 ms (1 ms–3.50 ms)": {Unit: elapsed, Runs: []float64{3.5e6, 2.002e6, 1e6}},
		"46.1 ns":                {Unit: elapsed, Runs: []float64{46.12}},
		"12,345 (0–1,234,567)":   {Runs: []float64{12345, 0, 1234567}},
		"2.50 KiB (2 KiB–3 KiB)": {Unit: memory, Runs: []float64{2048, 3072}},
		"150 ms":                 {Unit: elapsed, Runs: []float64{150e6, 150e6}},
		"30 s (29.9 s–30.1 s)":   {Unit: elapsed, Runs: []float64{30e9, 29.9e9, 30.1e9}},
	} {
		assert.Equal(t, want, f.String())
	}
}

func TestCallCountsRequestsOfBlockedCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		provider := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			time.Sleep(time.Until(begin.Add(300 * time.Millisecond)))
			return aws.Credentials{}, nil
		})
		all := callEvenly(provider, 1, 10*time.Millisecond, begin.Add(500*time.Millisecond).Before)
		assert.Equal(t, tally{count: 51, failed: 51, slow: 29, longest: 300 * time.Millisecond}, summarize(all), "empty credentials")
	})
}

func TestReportMissedReturnsLimitsThatDoNotHold(t *testing.T) {
	s := &sheet{Name: "rotation"}
	for _, scene := range []string{swaps, inPlace} {
		s.addCount(scene, ours, failures, 1)
		s.addCount(scene, sdk, failures, 40)
	}
	r := &report{Sheets: []*sheet{s}}
	assert.Equal(t, []string{"rotation: no request fails during rotations: at most 1"}, r.missed())
	assert.Contains(t, r.LimitTable(), "| at least 40 | held |")
	assert.Contains(t, r.LimitTable(), "| **not held** |")
}
