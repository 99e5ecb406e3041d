// Bench compares irsakit with its alternatives: the SDK's provider as its config package
// creates it, the same provider with an ExpiryWindow and jitter, and minio-go's
// credentials.NewIAM. All of them call the same STS on the loopback interface, in one run.
//
//	go -C internal/test/bench run .                    run all measures and print tables and limits
//	go -C internal/test/bench run . -only steady,herd  run some measures
//	go -C internal/test/bench run . -docs ../../../docs   write docs/performance.md, its charts and figures
//	go -C internal/test/bench run . -docs ../../../docs -redraw   write the page from the existing figures
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

	"github.com/aws/aws-sdk-go-v2/aws"
)

func main() {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	only := flag.String("only", "", "run only the measures with these `names`: "+strings.Join(names(full.measures()), ","))
	runs := flag.Int("runs", 3, "the number of runs of each measure")
	docs := flag.String("docs", "", "the `folder` for the page, its charts and its figures")
	redraw := flag.Bool("redraw", false, "write the page and the charts from the existing figures")
	flag.Parse()
	var err error
	if os.Getenv(childVariable) != "" {
		err = serve(os.Stdin, os.Stdout)
	} else {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		err = run(ctx, *only, *runs, *docs, *redraw)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, runs int, docs string, redraw bool) error {
	if redraw {
		r, err := readReport(docs)
		if err != nil {
			return err
		}
		return writeDocs(docs, r)
	}
	if err := check(only, runs); err != nil {
		return err
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
		return fmt.Errorf("limits exceeded:\n  %s", strings.Join(missed, "\n  "))
	}
	return nil
}

// check validates the flags.
func check(only string, runs int) error {
	all := names(full.measures())
	for name := range strings.SplitSeq(only, ",") {
		if only != "" && !slices.Contains(all, name) {
			return fmt.Errorf("no measure %q: use some of %s", name, strings.Join(all, ","))
		}
	}
	if runs < 1 {
		return errors.New("-runs must be 1 or more")
	}
	return nil
}

// A lab contains the resources of one run of a measure.
type lab struct {
	child    *child // an STS
	releases []func() error
}

// place starts a cluster. It runs until the lab is closed.
func (l *lab) place(setup Setup) (place Place, err error) {
	if err := l.child.Call("Clusters.Start", setup, &place); err != nil {
		return Place{}, err
	}
	l.releases = append(l.releases, func() error { return l.child.do(Command{Cluster: place.ID, Name: stop}) })
	return place, nil
}

// providers returns n providers of the contender. They are closed with the lab. t counts their
// calls of STS.
func (l *lab) providers(ctx context.Context, c contender, place Place, t *traffic, n int) ([]aws.CredentialsProvider, error) {
	var all []aws.CredentialsProvider
	for range n {
		provider, err := c.make(ctx, place, t.client(newTransport()))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		if closer, ok := provider.(io.Closer); ok {
			l.releases = append(l.releases, closer.Close)
		}
		all = append(all, provider)
	}
	return all, nil
}

// loaded is like providers, but the providers have credentials.
func (l *lab) loaded(ctx context.Context, c contender, place Place, t *traffic, n int) ([]aws.CredentialsProvider, error) {
	all, err := l.providers(ctx, c, place, t, n)
	for _, provider := range all {
		if _, err := provider.Retrieve(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return all, err
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
func measureAll(ctx context.Context, p plan, only string, runs int, out io.Writer) (r *report, err error) {
	if err := cleanEnvironment(); err != nil {
		return nil, err
	}
	sts, err := startChild(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sts.stop()) }()
	r = newReport(p, runs)
	fmt.Fprintf(out, "%+v\n", r.Machine)
	for _, m := range p.measures() {
		if only != "" && !slices.Contains(strings.Split(only, ","), m.name) {
			continue
		}
		s := &sheet{Name: m.name, Date: time.Now().UTC().Format(time.DateOnly), Commit: commit(), Go: runtime.Version()}
		for i := range runs {
			fmt.Fprintf(os.Stderr, "%s, run %d of %d\n", m.name, i+1, runs)
			l := &lab{child: sts}
			err := m.run(ctx, l, s)
			if err := errors.Join(err, l.close(), ctx.Err()); err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
		}
		r.Sheets = append(r.Sheets, s)
		fmt.Fprintf(out, "\n%s\n\n%s", s.Name, s.Table())
	}
	fmt.Fprintf(out, "\n%s", r.LimitTable())
	return r, nil
}

func names(all []measure) []string {
	var list []string
	for _, m := range all {
		list = append(list, m.name)
	}
	return list
}
