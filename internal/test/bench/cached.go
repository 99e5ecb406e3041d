package main

import (
	"encoding/pem"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/irsakit/irsakit/irsa"
)

const (
	perCall     = "time per call"
	allocations = "allocations"
	serial      = "serial"
	parallel    = "parallel"
	failing     = "failing Retrieve"
	lookup      = "Pool.Provider"
	creation    = "new, with a CA bundle"
	view        = "irsakit, MinTTL"
)

// cachedPlan configures the benchmarks of calls that need no STS.
type cachedPlan struct {
	Rounds       int
	Time         string // how long each benchmark runs
	Roles        int    // in the Pool
	Certificates int    // in the CA bundle
}

// A benchmark calls do repeatedly.
type benchmark struct {
	scene, contender string
	do               func() error
}

func (p cachedPlan) run(t *testing.T, s *sheet) {
	must(t, flag.Set("test.benchtime", p.Time))
	at := startSTS(t, setup{Lifetime: time.Hour, Roles: p.Roles})
	all := []benchmark{{serial, "time.Now", func() error { _ = time.Now(); return nil }}, lookups(t, at)}
	all = slices.Concat(all, retrieve(t, at), fail(t, at), p.create(t, at))
	for range p.Rounds {
		for _, b := range all {
			b.run(t, s)
		}
	}
}

// retrieve returns the calls of Retrieve while the credentials are valid.
func retrieve(t *testing.T, at place) (all []benchmark) {
	ctx := t.Context()
	add := func(contender string, provider aws.CredentialsProvider, scenes ...string) {
		do := func() error {
			_, err := provider.Retrieve(ctx)
			return err
		}
		must(t, do())
		for _, scene := range scenes {
			all = append(all, benchmark{scene, contender, do})
		}
	}
	for _, c := range dynamic {
		provider := c.open(t, at, newTraffic())
		add(c.name, provider, serial, parallel)
		if p, ok := provider.(*irsa.Provider); ok {
			add(view, p.MinTTL(10*time.Minute), serial)
			for _, arn := range at.RoleARNs[:2] {
				var err error
				p, err = p.AssumeRole(arn)
				must(t, err)
			}
			add("irsakit, chain of three", p, serial)
		}
	}
	return all
}

// fail returns the calls of Retrieve while STS denies access. That of irsakit returns the error of
// the last exchange until the next one is due.
func fail(t *testing.T, at place) (all []benchmark) {
	at.RoleARN += "-missing"
	ctx := t.Context()
	for _, c := range []contender{irsakit, asConfig} {
		provider := c.open(t, at, newTraffic())
		all = append(all, benchmark{failing, c.name, func() error {
			if _, err := provider.Retrieve(ctx); err == nil {
				return errors.New("no failure")
			}
			return nil
		}})
	}
	return all
}

// lookups returns the call of Pool.Provider for roles that are in the Pool.
func lookups(t *testing.T, at place) benchmark {
	open, i := holders[ours](at, newTraffic()), 0
	next := func() error {
		i = (i + 1) % len(at.RoleARNs)
		_, err := open(at.RoleARNs[i])
		return err
	}
	for range at.RoleARNs {
		must(t, next()) // adds the role
	}
	return benchmark{lookup, ours, next}
}

// create returns the calls that create a provider while AWS_CA_BUNDLE is set. All but the first one of
// a process can use what that has read.
func (p cachedPlan) create(t *testing.T, at place) (all []benchmark) {
	var text []byte
	roots := slices.Collect(bundle.Roots())
	for _, root := range roots[:min(p.Certificates, len(roots))] {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})...)
	}
	file := filepath.Join(t.TempDir(), "bundle.pem")
	must(t, os.WriteFile(file, text, 0o600))
	t.Setenv("AWS_CA_BUNDLE", file)
	for _, c := range []contender{irsakit, asConfig} {
		all = append(all, benchmark{creation, c.name, func() error {
			provider, err := c.make(t.Context(), at, nil)
			if closer, ok := provider.(io.Closer); ok && err == nil {
				return closer.Close()
			}
			return err
		}})
	}
	return all
}

// run records the time of a call. Parallel calls have one caller for each processor.
func (b benchmark) run(t *testing.T, s *sheet) {
	callers := 1
	if b.scene == parallel {
		callers = runtime.NumCPU()
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(callers))
	result := testing.Benchmark(func(loop *testing.B) {
		loop.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := b.do(); err != nil {
					t.Errorf("%s, %s: %v", b.scene, b.contender, err)
					return
				}
			}
		})
	})
	s.add(b.scene, b.contender, perCall, elapsed, float64(result.T)*float64(callers)/float64(result.N))
	s.addCount(b.scene, b.contender, allocations, int(result.AllocsPerOp()))
	s.add(b.scene, b.contender, "bytes", memory, float64(result.AllocedBytesPerOp()))
}
