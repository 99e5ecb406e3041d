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
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"
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
	err := cleanEnvironment()
	if err == nil && os.Getenv(childVariable) != "" {
		if err = work(); err == nil {
			os.Exit(0)
		}
	}
	if err != nil {
		panic(err)
	}
}

// must ends the test if there is an error.
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
	r := measureAll(t, full, only, full.Runs, os.Stdout)
	if docs != "" {
		must(t, writeDocs(docs, r))
	}
	if missed := r.missed(); len(missed) > 0 {
		t.Fatalf("limits not held:\n  %s", strings.Join(missed, "\n  "))
	}
}

// measureAll runs the measure with the name, or all if it is empty, and prints the tables.
func measureAll(t *testing.T, p plan, only string, runs int, out io.Writer) *report {
	r := newReport(p)
	begin := time.Now()
	fmt.Fprintln(out, strings.Join(r.Machine, "\n"))
	for _, m := range p.measures() {
		if only != "" && only != m.name {
			continue
		}
		s := &sheet{Name: m.name, Runs: min(m.runs, runs)}
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
