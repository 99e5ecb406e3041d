package main

import (
	"context"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/irsakit/irsakit/irsa"
)

// The figures, scenes and contenders of cached.
const (
	perCall     = "time per call"
	allocations = "allocations"
	serial      = "serial"
	parallel    = "parallel"
	failing     = "failing Retrieve"
	lookup      = "Pool.Provider"
	creation    = "new, with a CA bundle"

	clock   = "time.Now"
	view    = "irsakit, MinTTL"
	chained = "irsakit, chain of three"
)

// cachedPlan configures the benchmarks of calls that need no STS.
type cachedPlan struct {
	Rounds       int
	Time         string // of each benchmark
	Roles        int    // in the Pool
	Certificates int    // in the CA bundle
}

// A benchmark calls do repeatedly.
type benchmark struct {
	scene, contender string
	do               func(context.Context) error
}

func (p cachedPlan) run(ctx context.Context, l *lab, s *sheet) error {
	testing.Init() // registers the flag
	if err := flag.Set("test.benchtime", p.Time); err != nil {
		return err
	}
	at, err := l.place(ctx, setup{Lifetime: time.Hour, Roles: p.Roles})
	if err != nil {
		return err
	}
	all := []benchmark{{serial, clock, func(context.Context) error { _ = time.Now(); return nil }}, lookups(at)}
	for _, prepare := range []func(context.Context, *lab, place) ([]benchmark, error){retrieve, fail, p.create} {
		prepared, err := prepare(ctx, l, at)
		if err != nil {
			return err
		}
		all = append(all, prepared...)
	}
	for range p.Rounds {
		for _, b := range all {
			if err := b.run(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// retrieve returns the calls of Retrieve while the credentials are valid.
func retrieve(ctx context.Context, l *lab, at place) (all []benchmark, err error) {
	add := func(contender string, provider aws.CredentialsProvider, scenes ...string) {
		_, first := provider.Retrieve(ctx)
		err = errors.Join(err, first)
		for _, scene := range scenes {
			all = append(all, benchmark{scene, contender, func(ctx context.Context) error {
				_, err := provider.Retrieve(ctx)
				return err
			}})
		}
	}
	for _, c := range dynamic {
		provider, err := l.provider(ctx, c, at, &traffic{})
		if err != nil {
			return nil, err
		}
		add(c.name, provider, serial, parallel)
		if p, ok := provider.(*irsa.Provider); ok {
			add(view, p.MinTTL(10*time.Minute), serial)
			for _, arn := range at.RoleARNs[:2] {
				if p, err = p.AssumeRole(arn); err != nil {
					return nil, err
				}
			}
			add(chained, p, serial)
		}
	}
	return all, err
}

// fail returns the calls of Retrieve while STS denies access. That of irsakit returns the error of
// the last exchange until the next one is due.
func fail(ctx context.Context, l *lab, at place) (all []benchmark, err error) {
	at.RoleARN += "-missing"
	for _, c := range []contender{irsakit, asConfig} {
		provider, err := l.provider(ctx, c, at, &traffic{})
		if err != nil {
			return nil, err
		}
		all = append(all, benchmark{failing, c.name, func(ctx context.Context) error {
			if _, err := provider.Retrieve(ctx); err == nil {
				return errors.New("no failure")
			}
			return nil
		}})
	}
	return all, nil
}

// lookups returns the call of Pool.Provider for roles that are in the Pool.
func lookups(at place) benchmark {
	open, i := holders[ours](at, newTransport(), &traffic{}), 0
	next := func(context.Context) error {
		i = (i + 1) % len(at.RoleARNs)
		_, err := open(at.RoleARNs[i])
		return err
	}
	for range at.RoleARNs {
		_ = next(context.Background()) // adds the role; an error fails the benchmark too
	}
	return benchmark{lookup, ours, next}
}

// create returns the calls that create a provider while AWS_CA_BUNDLE is set. All but the first one of
// a process can use what that has read.
func (p cachedPlan) create(_ context.Context, l *lab, at place) (all []benchmark, err error) {
	folder, err := l.folder()
	var text []byte
	n := 0
	for root := range bundle.Roots() {
		if n++; n <= p.Certificates {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})...)
		}
	}
	file := filepath.Join(folder, "bundle.pem")
	l.releases = append(l.releases, func() error { return os.Unsetenv("AWS_CA_BUNDLE") })
	for _, c := range []contender{irsakit, asConfig} {
		all = append(all, benchmark{creation, c.name, func(ctx context.Context) error {
			provider, err := c.make(ctx, at, nil)
			if closer, ok := provider.(io.Closer); ok && err == nil {
				return closer.Close()
			}
			return err
		}})
	}
	return all, errors.Join(err, os.WriteFile(file, text, 0o600), os.Setenv("AWS_CA_BUNDLE", file))
}

// run records the time of a call. Parallel calls have one caller for each processor.
func (c benchmark) run(s *sheet) error {
	callers := 1
	if c.scene == parallel {
		callers = runtime.NumCPU()
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(callers))
	var failed atomic.Value
	result := testing.Benchmark(func(b *testing.B) {
		ctx := b.Context()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := c.do(ctx); err != nil {
					failed.Store(err.Error())
					return
				}
			}
		})
	})
	if err := failed.Load(); err != nil {
		return fmt.Errorf("%s, %s: %v", c.scene, c.contender, err)
	}
	s.add(c.scene, c.contender, perCall, elapsed, float64(result.T)*float64(callers)/float64(result.N))
	s.addCount(c.scene, c.contender, allocations, int(result.AllocsPerOp()))
	s.add(c.scene, c.contender, "bytes", memory, float64(result.AllocedBytesPerOp()))
	return nil
}
