package main

import (
	"bytes"
	"context"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain runs the tests or, in a process that a test has started, the work of that process.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	if os.Getenv(childVariable) != "" {
		if err := serve(os.Stdin, os.Stdout); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// small is a plan that takes seconds. Its figures are not meaningful.
var small = plan{
	Cached: cachedPlan{Rounds: 1},
	Steady: steadyPlan{Callers: 4, Every: 10 * time.Millisecond, Run: 2 * time.Second, Lifetime: 2 * time.Second, Latency: 20 * time.Millisecond},
	Outage: outagePlan{
		Callers: 2, Every: 50 * time.Millisecond, Latency: 20 * time.Millisecond, Long: 4 * time.Second, Short: 2 * time.Second,
		Duration: 500 * time.Millisecond, Hang: time.Second, After: time.Second,
	},
	Rotation: rotationPlan{
		Providers: 2, Every: 50 * time.Millisecond, Run: 2 * time.Second, Lifetime: 2 * time.Second, Latency: 5 * time.Millisecond,
		Rotate: 200 * time.Millisecond, Partial: 20 * time.Millisecond, Expired: 1, Wait: 300 * time.Millisecond,
	},
	Start: startPlan{Times: 1, Latency: 50 * time.Millisecond},
	Roles: rolesPlan{Roles: 20, Lifetime: 4 * time.Second, Run: 2 * time.Second, Latency: time.Millisecond},
	Herd:  herdPlan{Pods: 10, Lifetime: 3 * time.Second, Lifetimes: 2, Every: 50 * time.Millisecond, Latency: 50 * time.Millisecond},
}

func TestMeasureAllReturnsFiguresForLimitsAndPage(t *testing.T) {
	require.NoError(t, flag.Set("test.benchtime", "10ms"))
	var out bytes.Buffer
	all, err := small.measures("")
	require.NoError(t, err)
	r, err := measureAll(t.Context(), small, all, 1, &out)
	require.NoError(t, err)
	require.Len(t, r.Sheets, len(all))
	checked := r.checked()
	assert.Len(t, checked, len(limits))
	for _, row := range checked {
		assert.NotEmpty(t, row[2], row)
		assert.Contains(t, out.String(), row[1])
	}

	docs := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(docs, "performance"), 0o755))
	require.NoError(t, writeDocs(docs, r))
	read, err := readReport(docs)
	require.NoError(t, err)
	assert.Equal(t, r, read)
	page, err := os.ReadFile(filepath.Join(docs, "performance.md"))
	require.NoError(t, err)
	for _, c := range charts {
		for _, theme := range themes {
			name := "performance/" + c.File + "-" + theme.name + ".svg"
			assert.Contains(t, string(page), name)
			assert.Contains(t, string(page), `alt="`+c.Title+`"`)
			svg, err := os.ReadFile(filepath.Join(docs, name))
			require.NoError(t, err)
			for _, contender := range c.contenders {
				assert.Contains(t, string(svg), ">"+contender+"<", name)
			}
		}
	}
}

// The page in the repository is generated from its figures, and all limits are met.
func TestReportGeneratesPublishedPage(t *testing.T) {
	r, err := readReport("../../../docs")
	require.NoError(t, err)
	files, err := r.docFiles()
	require.NoError(t, err)
	require.Len(t, files, 1+len(charts)*len(themes))
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("../../../docs", name))
		require.NoError(t, err)
		assert.Equal(t, want, string(got), "%s: run go -C internal/test/bench run . -docs ../../../docs -redraw", name)
	}
	all, err := full.measures("")
	require.NoError(t, err)
	assert.Len(t, r.Sheets, len(all))
	assert.Empty(t, r.missed())
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

func TestTickDistanceIsRound(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, 3: 1, 4: 1, 4.1: 2, 12: 5, 304: 100, 800: 200, 1000: 500} {
		assert.InDelta(t, want, tickDistance(v), 1e-9, "%v", v)
	}
}

func TestCallCountsRequestsOfBlockedCaller(t *testing.T) {
	blocked := make(chan struct{})
	time.AfterFunc(300*time.Millisecond, func() { close(blocked) })
	provider := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		<-blocked
		return aws.Credentials{}, nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	total := summarize(call(ctx, provider, 1, 10*time.Millisecond))
	assert.Equal(t, total.count, total.failed, "empty credentials")
	assert.GreaterOrEqual(t, total.count, 45)
	assert.GreaterOrEqual(t, total.slow, 25)
	assert.GreaterOrEqual(t, total.longest, 290*time.Millisecond)
}

func TestPeakIsMaximumWithinWindow(t *testing.T) {
	at := func(seconds ...float64) (all []time.Time) {
		for _, s := range seconds {
			all = append(all, time.Unix(0, 0).Add(time.Duration(s*float64(time.Second))))
		}
		return all
	}
	assert.Equal(t, 3, peak(at(0, 1, 1.5, 1.9, 2.5), time.Second))
	assert.Equal(t, 1, peak(at(0, 1, 2), time.Second), "a window excludes its end")
	assert.Zero(t, peak(nil, time.Second))
}

func TestReportMissedReturnsLimitsThatAreNotMet(t *testing.T) {
	s := &sheet{Name: "herd"}
	s.addCount("", ours, later, 200)
	s.addCount("", sdk, later, 1000)
	s.addCount("", ours, failures, 0)
	r := &report{Sheets: []*sheet{s}}
	require.Len(t, r.missed(), 1)
	assert.Contains(t, r.missed()[0], "200 to 1,000: 0.200")
	assert.Contains(t, r.LimitTable(), "| NO |")
}

func TestPlanMeasuresSelectsByName(t *testing.T) {
	some, err := full.measures("steady")
	require.NoError(t, err)
	require.Len(t, some, 1)
	_, err = full.measures("stedy")
	require.Error(t, err)
}

func TestCellRecoveryWithoutSuccessLastsUntilCallersStop(t *testing.T) {
	c := cell{end: time.Unix(10, 0), requests: []request{{due: time.Unix(11, 0), failed: true}, {due: time.Unix(9, 0)}}}
	assert.Equal(t, full.Outage.Hang+full.Outage.After, c.recovery(full.Outage))
}

func TestLimitsApplyToEachScene(t *testing.T) {
	s := &sheet{}
	for _, figure := range []struct {
		scene, contender string
		slow, all        int
	}{{"a", ours, 9, 100_000}, {"b", ours, 0, 100_000}, {"none", static, 0, 500_000}} {
		s.addCount(figure.scene, figure.contender, overSlow, figure.slow)
		s.addCount(figure.scene, figure.contender, requests, figure.all)
	}
	for name, check := range map[string]func(*sheet) (string, bool){
		"noSlowerThanStatic": noSlowerThanStatic([]string{"a", "b"}, "none"),
		"atLeast":            atLeast(ours, []string{"a", "b"}, overSlow, 1),
		"most":               most([]string{"a", "b"}, overSlow, 8),
	} {
		_, met := check(s)
		assert.False(t, met, name)
	}
}

func TestNoSlowerInParallelComparesFastestRound(t *testing.T) {
	for name, tt := range map[string]struct {
		parallel []float64
		met      bool
	}{
		"callers that wait for each other":  {[]float64{99, 101, 150}, false},
		"slightly slower in each round":     {[]float64{52.2, 52.3, 52.4}, false},
		"as slow as with separate provider": {[]float64{51.9, 52.3, 58}, true},
		"one round as fast as serial":       {[]float64{50.5, 58, 59}, true},
	} {
		var s sheet
		for scene, runs := range map[string][]float64{serial: {50, 51, 60}, separate: {51, 52, 60}, parallel: tt.parallel} {
			for _, run := range runs {
				s.add(scene, ours, perCall, elapsed, run)
			}
		}
		_, met := noSlowerInParallel(&s)
		assert.Equal(t, tt.met, met, name)
	}
}
