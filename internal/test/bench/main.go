// Bench compares irsakit with its alternatives: the SDK's provider with and without its config package,
// the same provider with an ExpiryWindow and jitter, and minio-go's credentials.NewIAM. All of them call
// the same STS in one run: on the loopback interface, or in memory in simulated time.
//
//	go -C internal/test/bench run .                    run all measures and print tables and limits
//	go -C internal/test/bench run . -only steady       run one measure
//	go -C internal/test/bench run . -docs ../../../docs   write docs/performance.md, its charts and figures
//	go -C internal/test/bench run . -docs ../../../docs -redraw   write the page from the existing figures
//
// A full run needs an otherwise idle machine. The page contains its duration.
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
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func main() {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	only := flag.String("only", "", "run only the measure with this `name`")
	docs := flag.String("docs", "", "the `folder` for the page, its charts and its figures")
	redraw := flag.Bool("redraw", false, "write the page and the charts from the existing figures")
	flag.Parse()
	var err error
	if os.Getenv(childVariable) != "" {
		err = work()
	} else {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		err = run(ctx, *only, *docs, *redraw)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only, docs string, redraw bool) error {
	if redraw {
		r, err := readReport(docs)
		if err != nil {
			return err
		}
		return writeDocs(docs, r)
	}
	selected, err := full.measures(only)
	if err != nil {
		return err
	}
	if only != "" && docs != "" {
		return errors.New("the page shows all measures: use -docs without -only")
	}
	r, err := measureAll(ctx, full, selected, full.Runs, os.Stdout)
	if err != nil {
		return err // the results so far have been printed
	}
	if docs != "" {
		if err := writeDocs(docs, r); err != nil {
			return err
		}
	}
	if missed := r.missed(); len(missed) > 0 {
		return fmt.Errorf("limits not held:\n  %s", strings.Join(missed, "\n  "))
	}
	return nil
}

// A lab contains the resources of one run of a measure.
type lab struct{ releases []func() error }

// place starts an STS. It runs until the lab is closed.
func (l *lab) place(ctx context.Context, s setup) (p place, err error) {
	stop, err := startChild(context.WithoutCancel(ctx), task{STS: s}, &p)
	if err == nil {
		l.releases = append(l.releases, stop)
	}
	return p, err
}

// folder returns a temporary folder, which is removed when the lab is closed.
func (l *lab) folder() (string, error) {
	folder, err := os.MkdirTemp("", "bench")
	l.releases = append(l.releases, func() error { return os.RemoveAll(folder) })
	return folder, err
}

// provider returns a provider of the contender, which is closed with the lab. t counts its calls of STS.
func (l *lab) provider(ctx context.Context, c contender, p place, t *traffic) (aws.CredentialsProvider, error) {
	provider, err := c.make(ctx, p, t.client(newTransport()))
	if closer, ok := provider.(io.Closer); ok && err == nil {
		l.releases = append(l.releases, closer.Close)
	}
	return provider, err
}

// close releases the resources. The lab can be used again.
func (l *lab) close() error {
	var errs []error
	for _, release := range slices.Backward(l.releases) {
		errs = append(errs, release())
	}
	l.releases = nil
	return errors.Join(errs...)
}

// measureAll runs each measure several times and prints its table.
func measureAll(ctx context.Context, p plan, selected []measure, runs int, out io.Writer) (r *report, err error) {
	if err := cleanEnvironment(); err != nil {
		return nil, err
	}
	r = newReport(p)
	begin := time.Now()
	fmt.Fprintln(out, strings.Join(r.Machine, "\n"))
	for _, m := range selected {
		s := &sheet{Name: m.name, Runs: min(m.runs, runs)}
		for i := range s.Runs {
			fmt.Fprintf(os.Stderr, "%s, run %d of %d, after %v\n", m.name, i+1, s.Runs, time.Since(begin).Round(time.Second))
			l := &lab{}
			if err := errors.Join(m.run(ctx, l, s), l.close(), ctx.Err()); err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
		}
		r.Sheets = append(r.Sheets, s)
		fmt.Fprintf(out, "\n%s\n\n%s", s.Name, s.Table())
	}
	r.Took = short(time.Since(begin).Round(time.Second))
	fmt.Fprintf(out, "\n%s", r.LimitTable())
	return r, nil
}
