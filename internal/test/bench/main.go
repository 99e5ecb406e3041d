// Bench compares irsakit with its alternatives: the SDK's provider as its config package
// creates it, the same provider with an ExpiryWindow and jitter, and minio-go's
// credentials.NewIAM. All of them call the same STS on the loopback interface, in one run.
//
//	go -C internal/test/bench run .                    run all measures and print tables and limits
//	go -C internal/test/bench run . -only steady       run one measure
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
	only := flag.String("only", "", "run only the measure with this `name`")
	docs := flag.String("docs", "", "the `folder` for the page, its charts and its figures")
	redraw := flag.Bool("redraw", false, "write the page and the charts from the existing figures")
	flag.Parse()
	var err error
	if os.Getenv(childVariable) != "" {
		err = serve(os.Stdin, os.Stdout)
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
	r, err := measureAll(ctx, full, selected, 3, os.Stdout)
	if err != nil {
		return err // the results so far have been printed
	}
	if docs != "" {
		if err := writeDocs(docs, r); err != nil {
			return err
		}
	}
	if missed := r.missed(); len(missed) > 0 {
		return fmt.Errorf("limits exceeded:\n  %s", strings.Join(missed, "\n  "))
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

// providers returns n providers of the contender, which have credentials if load is true. They are
// closed with the lab. t counts their calls of STS.
func (l *lab) providers(ctx context.Context, c contender, place Place, t *traffic, n int, load bool) ([]aws.CredentialsProvider, error) {
	var all []aws.CredentialsProvider
	for range n {
		provider, err := c.make(ctx, place, t.client(newTransport()))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		if closer, ok := provider.(io.Closer); ok {
			l.releases = append(l.releases, closer.Close)
		}
		if load {
			if _, err := provider.Retrieve(ctx); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
		all = append(all, provider)
	}
	return all, nil
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
	sts, err := startChild(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sts.stop()) }()
	r = newReport(p, runs)
	fmt.Fprintf(out, "%+v\n", r.Machine)
	for _, m := range selected {
		s := &sheet{Name: m.name, Date: time.Now().UTC().Format(time.DateOnly), Commit: commit(), Go: runtime.Version()}
		for i := range runs {
			fmt.Fprintf(os.Stderr, "%s, run %d of %d\n", m.name, i+1, runs)
			l := &lab{child: sts}
			if err := errors.Join(m.run(ctx, l, s), l.close(), ctx.Err()); err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
		}
		r.Sheets = append(r.Sheets, s)
		fmt.Fprintf(out, "\n%s\n\n%s", s.Name, s.Table())
	}
	fmt.Fprintf(out, "\n%s", r.LimitTable())
	return r, nil
}

// plan configures the measures. Page and charts show it.
type plan struct {
	Cached   cachedPlan
	Steady   steadyPlan
	Outage   outagePlan
	Rotation rotationPlan
	Start    startPlan
	Roles    rolesPlan
	Herd     herdPlan
}

// full is the plan for the published page.
var full = plan{
	Cached: cachedPlan{Rounds: 3},
	Steady: steadyPlan{
		Callers: 64, Every: 10 * time.Millisecond, Run: 20 * time.Second,
		Lifetime: 5 * time.Second, Latency: 300 * time.Millisecond,
	},
	Outage: outagePlan{
		Callers: 32, Every: 40 * time.Millisecond, Latency: 20 * time.Millisecond,
		Long: 60 * time.Second, Short: 20 * time.Second,
		Duration: 10 * time.Second, Hang: 30 * time.Second, After: 10 * time.Second,
	},
	Rotation: rotationPlan{
		Providers: 50, Every: 20 * time.Millisecond, Run: 20 * time.Second,
		Lifetime: 2 * time.Second, Latency: 5 * time.Millisecond, Rotate: 400 * time.Millisecond, Partial: 100 * time.Millisecond,
		Expired: 10, Wait: 5 * time.Second,
	},
	Start: startPlan{Times: 20, Latency: 50 * time.Millisecond},
	Roles: rolesPlan{Roles: 10_000, Lifetime: 120 * time.Second, Run: 120 * time.Second, Latency: 50 * time.Millisecond},
	Herd:  herdPlan{Pods: 1_000, Lifetime: 30 * time.Second, Lifetimes: 3, Every: 200 * time.Millisecond, Latency: 50 * time.Millisecond},
}

// A measure is a benchmark that runs several times.
type measure struct {
	name string
	run  func(context.Context, *lab, *sheet) error
}

// measures returns the measure with the name, or all if the name is empty.
func (p plan) measures(only string) ([]measure, error) {
	all := []measure{
		{"cached", p.Cached.run}, {"steady", p.Steady.run}, {"outage", p.Outage.run}, {"rotation", p.Rotation.run},
		{"start", p.Start.run}, {"roles", p.Roles.run}, {"herd", p.Herd.run},
	}
	if only != "" {
		all = slices.DeleteFunc(all, func(m measure) bool { return m.name != only })
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("unknown measure %q", only)
	}
	return all, nil
}
