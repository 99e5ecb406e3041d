package main

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// The figures and scenes of cached.
const (
	perCall     = "time per call"
	allocations = "allocations"
	serial      = "serial"
	parallel    = "parallel"
	separate    = "separate"
)

// cachedPlan configures the measure of Retrieve while the credentials are valid.
type cachedPlan struct{ Rounds int }

func (p cachedPlan) run(ctx context.Context, l *lab, s *sheet) error {
	place, err := l.place(Setup{Lifetime: time.Hour})
	if err != nil {
		return err
	}
	providers := make([][]aws.CredentialsProvider, len(dynamic)) // one per contender and processor
	for i, c := range dynamic {
		if providers[i], err = l.loaded(ctx, c, place, &traffic{}, runtime.NumCPU()); err != nil {
			return err
		}
	}
	for range p.Rounds {
		for i, c := range dynamic {
			benchmark(s, serial, c.name, providers[i][:1])
			benchmark(s, parallel, c.name, slices.Repeat(providers[i][:1], len(providers[i])))
			benchmark(s, separate, c.name, providers[i])
		}
	}
	return nil
}

// benchmark records the time of a call. Each provider has one caller, on a separate processor.
func benchmark(s *sheet, scene, contender string, providers []aws.CredentialsProvider) {
	callers := len(providers)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(callers))
	result := testing.Benchmark(func(b *testing.B) {
		ctx := b.Context()
		var next atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			provider := providers[next.Add(1)-1]
			for pb.Next() {
				if _, err := provider.Retrieve(ctx); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
	s.add(scene, contender, perCall, elapsed, float64(result.T)*float64(callers)/float64(result.N))
	s.add(scene, contender, allocations, times, float64(result.AllocsPerOp()))
	s.add(scene, contender, "bytes", memory, float64(result.AllocedBytesPerOp()))
}
