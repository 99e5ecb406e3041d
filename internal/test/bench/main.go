// Bench compares irsakit with its alternatives: the SDK's provider with and without its config package,
// the same provider with an ExpiryWindow and jitter, and minio-go's credentials.NewIAM. All of them call
// the same STS in one run: on the loopback interface, or in memory in simulated time.
//
//	go -C internal/test/bench run .                    run all measures and print tables and limits
//	go -C internal/test/bench run . -only steady       run one measure
//	go -C internal/test/bench run . -docs ../../../docs   write docs/performance.md, its charts and figures
//	go -C internal/test/bench run . -docs ../../../docs -redraw   write the page from the existing figures
//
// A full run needs an otherwise idle machine. The page contains its duration. The measures are tests,
// because testing/synctest needs one.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/irsakit/irsakit/internal/test/testenv"
)

func main() {
	prepare()
	only := flag.String("only", "", "run only the measure with this `name`")
	docs := flag.String("docs", "", "the `directory` for the page, its charts and its figures")
	redraw := flag.Bool("redraw", false, "write the page and the charts from the existing figures")
	flag.Parse()
	all := func(string, string) (bool, error) { return true, nil }
	run := func(t *testing.T) { run(t, *only, *docs, *redraw) }
	testing.Main(all, []testing.InternalTest{{Name: "Bench", F: run}}, nil, nil)
}

// prepare makes this process independent of the user's settings. A child process does its work and ends.
func prepare() {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	testenv.Clear()
	err := errors.Join(os.Setenv("AWS_CONFIG_FILE", os.DevNull), os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull))
	if err == nil && os.Getenv(childVariable) != "" {
		if err = work(); err == nil {
			os.Exit(0)
		}
	}
	if err != nil {
		panic(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, only, docs string, redraw bool) {
	if only != "" && docs != "" {
		t.Fatal("the page shows all measures: use -docs without -only")
	}
	if redraw {
		r, err := readReport(docs)
		must(t, err)
		must(t, writeDocs(docs, r))
		return
	}
	r := measureAll(t, full, only, os.Stdout)
	if docs != "" {
		must(t, writeDocs(docs, r))
	}
	if missed := r.missed(); len(missed) > 0 {
		t.Fatalf("limits not held:\n  %s", strings.Join(missed, "\n  "))
	}
}

// measureAll runs the measure with the name, or all if it is empty, and prints the tables.
func measureAll(t *testing.T, p plan, only string, out io.Writer) *report {
	r := newReport(p)
	begin := time.Now()
	fmt.Fprintln(out, strings.Join(r.Machine, "\n"))
	for _, m := range p.measures() {
		if only != "" && only != m.name {
			continue
		}
		s := &sheet{Name: m.name, Runs: min(m.runs, p.Runs)}
		for i := range s.Runs {
			fmt.Fprintf(os.Stderr, "%s, run %d of %d, after %v\n", m.name, i+1, s.Runs, time.Since(begin).Round(time.Second))
			if !t.Run(m.name, func(t *testing.T) { m.run(t, s) }) {
				t.FailNow() // the results so far have been printed
			}
		}
		r.Sheets = append(r.Sheets, s)
		fmt.Fprintf(out, "\n%s\n\n%s", s.Name, s.Table())
	}
	if len(r.Sheets) == 0 {
		t.Fatalf("unknown measure %q", only)
	}
	r.Took = short(time.Since(begin).Round(time.Second))
	fmt.Fprintf(out, "\n%s", r.LimitTable())
	return r
}

// plan configures the measures. Page and charts show it.
type plan struct {
	Runs       int // how often each measure runs, unless it has a lower number of its own
	Cached     cachedPlan
	Steady     steadyPlan
	Outage     outagePlan
	Rotation   rotationPlan
	Start      startPlan
	Roles      rolesPlan
	Herd       herdPlan
	Survival   survivalPlan
	Controller controllerPlan
}

// full is the plan for the published page.
var full = plan{
	Runs:   3,
	Cached: cachedPlan{Rounds: 3, Time: "200ms", Roles: 10_000, Certificates: 140},
	Steady: steadyPlan{
		Callers: 64, Every: 10 * time.Millisecond, Run: 10 * time.Second,
		Lifetime: 4 * time.Second, Latency: 300 * time.Millisecond,
	},
	Outage: outagePlan{
		Callers: 32, Every: 40 * time.Millisecond, Latency: 20 * time.Millisecond,
		Long: 60 * time.Second, Short: 20 * time.Second, Duration: 10 * time.Second, Hang: 30 * time.Second, After: 10 * time.Second,
	},
	Rotation: rotationPlan{
		Providers: 50, Every: time.Second, Run: 150 * time.Minute, Lifetime: 15 * time.Minute, Latency: 50 * time.Millisecond,
		Rotate: 5 * time.Second, Partial: time.Second,
		Expired: 10, ExpiredEvery: 20 * time.Millisecond, Wait: 3 * time.Second,
	},
	Start: startPlan{Times: 20, Latency: 50 * time.Millisecond},
	Roles: rolesPlan{Roles: 10_000, Lifetime: 42 * time.Second, Run: 20 * time.Second, Latency: 50 * time.Millisecond},
	Herd: herdPlan{
		Pods: 1_000, Lifetimes: 4, Lifetime: 15 * time.Minute, Latency: 50 * time.Millisecond, Every: time.Second,
		Short: 2 * time.Minute, Outage: 130 * time.Second,
	},
	Survival: survivalPlan{
		Pods: 100, Durations: []time.Duration{15 * time.Minute, time.Hour, 12 * time.Hour}, Latency: 50 * time.Millisecond,
	},
	Controller: controllerPlan{
		Tenants: 20, Every: 10 * time.Second, Run: 4 * time.Hour, Lifetime: time.Hour, Latency: 300 * time.Millisecond,
		From: 115 * time.Minute, Outage: 10 * time.Minute,
	},
}

// A measure is a benchmark that runs several times.
type measure struct {
	name string
	runs int // at most
	run  func(*testing.T, *sheet)
}

// measures returns all measures. Those whose runs take minutes and differ little have fewer of them.
func (p plan) measures() []measure {
	return []measure{
		{"cached", 3, p.Cached.run},
		{"steady", 3, p.Steady.run},
		{"start", 3, p.Start.run},
		{"roles", 3, p.Roles.measure(true, ours, sdk)},
		{"chains", 2, p.Roles.measure(false, ours, chains, sdk)},
		{"outage", 3, p.Outage.run},
		{"rotation", 3, p.Rotation.run},
		{"herd", 1, p.Herd.run},
		{"survival", 1, p.Survival.run},
		{"controller", 1, p.Controller.run},
	}
}
