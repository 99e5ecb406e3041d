package main

import (
	"bytes"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain runs the tests or, in a process that a test has started, the work of that process.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	if isChild, err := beChild(); isChild {
		if err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// small is a plan that takes seconds. Its figures are not meaningful.
var small = plan{
	cached: 1,
	steady: steadyPlan{callers: 4, every: 10 * time.Millisecond, run: 2 * time.Second, life: 2 * time.Second, latency: 20 * time.Millisecond},
	outage: outagePlan{
		callers: 2, every: 50 * time.Millisecond, long: 4 * time.Second, short: 2 * time.Second,
		lasts: 500 * time.Millisecond, stuck: time.Second, after: time.Second,
	},
	swaps: rotationPlan{
		providers: 2, every: 50 * time.Millisecond, run: 2 * time.Second, life: 2 * time.Second,
		rotate: 200 * time.Millisecond, torn: 20 * time.Millisecond, expired: 1, wait: 300 * time.Millisecond,
	},
	starts: 1,
	roles:  rolesPlan{roles: 20, life: 4 * time.Second, run: 2 * time.Second, latency: time.Millisecond},
	herd:   herdPlan{pods: 10, life: 3 * time.Second, lives: 2, every: 50 * time.Millisecond},
}

func TestEveryMeasureGivesItsFiguresBarsChartsAndPage(t *testing.T) {
	require.NoError(t, flag.Set("test.benchtime", "10ms"))
	var out bytes.Buffer
	r, err := measureAll(t.Context(), small, "", 1, &out)
	require.NoError(t, err)
	require.Len(t, r.Sheets, len(measures(small)))
	judged := 0
	r.judged(func(b bar, seen string, _ bool) {
		judged++
		assert.NotEmpty(t, seen, b.says)
		assert.Contains(t, out.String(), b.says)
	})
	assert.Equal(t, len(bars), judged)

	docs := t.TempDir()
	require.NoError(t, writeDocs(docs, r))
	again, err := readReport(docs)
	require.NoError(t, err)
	assert.Equal(t, r, again, "nothing is lost in the figures' file")
	text, err := os.ReadFile(filepath.Join(docs, "performance.md"))
	require.NoError(t, err)
	for _, c := range charts {
		for _, theme := range themes {
			name := "performance/" + c.File + "-" + theme.name + ".svg"
			assert.Contains(t, string(text), name)
			svg, err := os.ReadFile(filepath.Join(docs, name))
			require.NoError(t, err)
			for _, contender := range c.contenders {
				assert.Contains(t, string(svg), ">"+contender+"<", name)
			}
		}
	}
}

// The page in the repository is generated from its figures, and all bars hold.
func TestThePageIsWhatItsFiguresMakeIt(t *testing.T) {
	r, err := readReport("../../../docs")
	require.NoError(t, err)
	want, err := page(r)
	require.NoError(t, err)
	have, err := os.ReadFile("../../../docs/performance.md")
	require.NoError(t, err)
	assert.Equal(t, string(want), string(have), "write it again: go -C internal/test/bench run . -docs ../../../docs -redraw")
	for _, c := range charts {
		files, err := c.svgs(r)
		require.NoError(t, err)
		require.Len(t, files, len(themes))
		for name, svg := range files {
			have, err := os.ReadFile("../../../docs/performance/" + name)
			require.NoError(t, err)
			assert.Equal(t, string(svg), string(have), name)
		}
	}
	assert.Len(t, r.Sheets, len(measures(full)))
	assert.Empty(t, r.missed())
}

func TestAFigureIsAMedianWithItsSpread(t *testing.T) {
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

func TestACallerWhoIsHeldUpHidesNothing(t *testing.T) {
	held := make(chan struct{})
	time.AfterFunc(300*time.Millisecond, func() { close(held) })
	ctx, cancel := contextFor(t, 500*time.Millisecond)
	defer cancel()
	all := ask(ctx, waiting(held), 1, 10*time.Millisecond)
	a := summarize(all)
	assert.Equal(t, len(all), a.failed, "who gets empty credentials got none")
	assert.GreaterOrEqual(t, len(all), 45, "what was due meanwhile is asked too")
	assert.GreaterOrEqual(t, a.slow, 25, "and counts from when it was due")
	assert.GreaterOrEqual(t, a.percentile(1), 290*time.Millisecond)
}

func TestThePeakIsTheMostCallsWithinAnyWindow(t *testing.T) {
	begin := time.Unix(0, 0)
	at := func(seconds ...float64) (all []time.Time) {
		for _, s := range seconds {
			all = append(all, begin.Add(time.Duration(s*float64(time.Second))))
		}
		return all
	}
	assert.Equal(t, 3, peak(at(0, 1, 1.5, 1.9, 2.5), time.Second))
	assert.Equal(t, 1, peak(at(0, 1, 2), time.Second), "a window does not have both its ends")
	assert.Zero(t, peak(nil, time.Second))
}

func TestABarThatDoesNotHoldIsSaid(t *testing.T) {
	s := &sheet{Name: "herd"}
	s.addCount("", ours, later, 200)
	s.addCount("", sdk, later, 1000)
	s.addCount("", ours, failures, 0)
	r := &report{Sheets: []*sheet{s}}
	require.Len(t, r.missed(), 1)
	assert.Contains(t, r.missed()[0], "200 to 1,000: 0.20")
	assert.Equal(t, 1, strings.Count(r.barTable(), "| NO |"))
}

func TestACheckCanFail(t *testing.T) {
	require.Error(t, check("stedy", 3))
	require.Error(t, check("", 0))
	require.NoError(t, check("steady,herd", 1))

	never := cell{ends: time.Unix(10, 0), requests: []request{{due: time.Unix(11, 0), failed: true}, {due: time.Unix(9, 0)}}}
	assert.Equal(t, full.outage.stuck+full.outage.after, never.recovery(full.outage))

	s := &sheet{}
	for _, figure := range []struct {
		scene, contender string
		slow, asked      int
	}{{"a", ours, 0, 100_000}, {"b", ours, 9, 100_000}, {"none", static, 0, 500_000}} {
		s.addCount(figure.scene, figure.contender, overSlow, figure.slow)
		s.addCount(figure.scene, figure.contender, requests, figure.asked)
	}
	_, holds := noSlowerThanStatic([]string{"a", "b"}, "none")(s)
	assert.False(t, holds, "one scene has no use of what another leaves over")
	_, holds = atLeast(ours, []string{"a", "b"}, overSlow, 1)(s)
	assert.False(t, holds)
	_, holds = most([]string{"a", "b"}, overSlow, 8)(s)
	assert.False(t, holds)
}

func TestACallThatIsSlowerInParallelInEveryRoundIsNoticed(t *testing.T) {
	for says, c := range map[string]struct {
		parallel []float64
		holds    bool
	}{
		"callers who wait for each other":        {[]float64{99, 101, 150}, false},
		"a little, in every round":               {[]float64{52.2, 52.3, 52.4}, false},
		"as slow as where the provider is apart": {[]float64{51.9, 52.3, 58}, true},
		"as fast as one caller, once":            {[]float64{50.5, 58, 59}, true},
	} {
		var s sheet
		for scene, runs := range map[string][]float64{"serial": {50, 51, 60}, "apart": {51, 52, 60}, "parallel": c.parallel} {
			for _, run := range runs {
				s.add(scene, ours, perCall, elapsed, run)
			}
		}
		_, holds := noSlowerInParallel(&s)
		assert.Equal(t, c.holds, holds, says)
	}
}

func TestSomeMeasuresOfThePageCanBeMeasuredAgain(t *testing.T) {
	published, err := readReport("../../../docs")
	require.NoError(t, err)
	docs := t.TempDir()
	require.NoError(t, writeDocs(docs, published))

	herd := *published.sheet("herd")
	herd.Commit = "0123456789ab"
	some := &report{Machine: published.Machine, Sheets: []*sheet{&herd}}
	all, err := replace(docs, some)
	require.NoError(t, err)
	require.Len(t, all.Sheets, len(published.Sheets))
	text, err := page(all)
	require.NoError(t, err)
	assert.Contains(t, string(text), "Measured on "+published.sheet("herd").Date+" with commit 0123456789ab and ")

	some.Machine.Runs++
	_, err = replace(docs, some)
	assert.Error(t, err)
}
