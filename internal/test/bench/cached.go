package main

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// cached measures Retrieve while the credentials are valid.
func cached(rounds int) measure {
	return measure{
		name: "cached", title: "A cached Retrieve",
		about: "Go's benchmark of Retrieve while the credentials are valid, all contenders in turn, " +
			"round by round; the spread is that of the rounds. Serial is one caller; parallel is one on each processor, and its time is that of each call. Apart is " +
			"parallel too, but each caller has a provider of his own: what is slower there, the machine makes slower. minio-go is called through an adapter to the SDK's interface.",
		run: func(ctx context.Context, l *lab, s *sheet) (err error) {
			place, release, err := l.sts.place(Setup{Life: time.Hour})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, release()) }()
			return cachedRuns(ctx, l, s, place, rounds)
		},
	}
}

func cachedRuns(ctx context.Context, l *lab, s *sheet, place Place, rounds int) error {
	contenders := dynamic
	providers := make([][]aws.CredentialsProvider, len(contenders)) // one per contender and processor
	for i, c := range contenders {
		for range runtime.NumCPU() {
			provider, err := loaded(ctx, c, place, &traffic{})
			if err != nil {
				return err
			}
			defer closeProvider(provider)
			providers[i] = append(providers[i], provider)
		}
	}
	for round := range rounds {
		l.progress("round %d of %d", round+1, rounds)
		for i, c := range contenders {
			one, each := providers[i][0], providers[i]
			benchmark(s, "serial", c.name, one)
			benchmark(s, "parallel", c.name, slices.Repeat([]aws.CredentialsProvider{one}, len(each))...)
			benchmark(s, "apart", c.name, each...)
		}
	}
	return ctx.Err()
}

// benchmark records the time of a call. Each provider has one caller, on a separate
// processor.
func benchmark(s *sheet, scene, contender string, providers ...aws.CredentialsProvider) {
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

// Names of figures that bars refer to.
const (
	perCall     = "time of a call"
	allocations = "allocations"
)
