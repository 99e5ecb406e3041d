// Bench compares irsakit with its alternatives: the SDK's provider as its config package
// creates it, the same provider with an ExpiryWindow and jitter, and minio-go's
// credentials.NewIAM. All of them call the same STS on the loopback interface, in one run.
//
//	go -C internal/test/bench run .                    runs all measures, and prints tables and bars
//	go -C internal/test/bench run . -only steady,herd  runs some measures
//	go -C internal/test/bench run . -docs ../../../docs   writes docs/performance.md, its charts and figures
//	go -C internal/test/bench run . -docs ../../../docs -redraw   writes the page from the existing figures
//
// A full run takes about 45 minutes and needs an otherwise idle machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	if isChild, err := beChild(); isChild {
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	only := flag.String("only", "", "measure nothing but these `names`: "+names(measures(full)))
	runs := flag.Int("runs", 3, "how often each is measured")
	docs := flag.String("docs", "", "the `folder` for the page, its charts and its figures")
	redraw := flag.Bool("redraw", false, "measure nothing: draw the page again from its figures")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *only, *runs, *docs, *redraw)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// beChild does the work of a child process of bench. It reports whether this process is one.
func beChild() (bool, error) {
	switch {
	case os.Getenv(stsVariable) != "":
		return true, serveSTS(os.Stdin, os.Stdout)
	case os.Getenv(holderVariable) != "":
		return true, holdRoles(context.Background(), os.Stdin, os.Stdout)
	default:
		return false, nil
	}
}

func run(ctx context.Context, only string, runs int, docs string, redraw bool) error {
	if err := check(only, runs); err != nil {
		return err
	}
	if redraw {
		r, err := readReport(docs)
		if err != nil {
			return err
		}
		return writeDocs(docs, r)
	}
	r, err := measureAll(ctx, full, only, runs, os.Stdout)
	if err != nil {
		return err // the results so far have been printed
	}
	if docs != "" {
		if only != "" {
			if r, err = replace(docs, r); err != nil {
				return err
			}
		}
		if err := writeDocs(docs, r); err != nil {
			return err
		}
	}
	if missed := r.missed(); len(missed) > 0 {
		return fmt.Errorf("these bars do not hold:\n  %s", strings.Join(missed, "\n  "))
	}
	return nil
}

// check validates the flags.
func check(only string, runs int) error {
	known := strings.Split(names(measures(full)), ",")
	for name := range strings.SplitSeq(only, ",") {
		if only != "" && !slices.Contains(known, name) {
			return fmt.Errorf("there is no measure %q: take some of %s", name, strings.Join(known, ","))
		}
	}
	if runs < 1 {
		return errors.New("-runs has to be 1 or more")
	}
	return nil
}

// measure is a benchmark that is run several times.
type measure struct {
	name  string
	title string
	about string // describes the method on the page
	run   func(context.Context, *lab, *sheet) error
}

// lab contains what the measures share.
type lab struct {
	sts      *stsProcess
	progress func(format string, arguments ...any)
}

// measureAll runs each measure several times, and prints its table afterwards.
func measureAll(ctx context.Context, p plan, only string, runs int, out io.Writer) (r *report, err error) {
	if err := cleanEnvironment(); err != nil {
		return nil, err
	}
	sts, err := startSTS()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sts.stop()) }()
	r = newReport(runs)
	fmt.Fprintf(out, "%+v\n", r.Machine)
	for _, m := range measures(p) {
		if only != "" && !slices.Contains(strings.Split(only, ","), m.name) {
			continue
		}
		s := &sheet{Name: m.name, Title: m.title, About: m.about, Date: time.Now().UTC().Format(time.DateOnly), Commit: commit(), Go: runtime.Version()}
		for i := range runs {
			l := &lab{sts: sts, progress: func(format string, arguments ...any) {
				fmt.Fprintf(os.Stderr, "%s, run %d of %d: %s\n", m.name, i+1, runs, fmt.Sprintf(format, arguments...))
			}}
			if err := m.run(ctx, l, s); err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
		}
		r.Sheets = append(r.Sheets, s)
		fmt.Fprintf(out, "\n%s\n\n%s", s.Title, s.table())
	}
	fmt.Fprintf(out, "\n%s", r.barTable())
	return r, nil
}

func names(all []measure) string {
	var list []string
	for _, m := range all {
		list = append(list, m.name)
	}
	return strings.Join(list, ",")
}
