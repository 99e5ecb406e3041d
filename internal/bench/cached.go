package main

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// cached measures Retrieve while there are credentials.
func cached(rounds int) measure {
	return measure{
		name: "cached", title: "A cached Retrieve",
		about: "Go's benchmark of Retrieve while the credentials are valid, all contenders in turn, " +
			"round by round. Serial is one caller; parallel is one on each processor, and its time is that of each call. " +
			"minio-go is called through an adapter to the SDK's interface.",
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
	providers := make([]aws.CredentialsProvider, len(contenders))
	for i, c := range contenders {
		provider, err := loaded(ctx, c, place, &traffic{})
		if err != nil {
			return err
		}
		defer closeProvider(provider)
		providers[i] = provider
	}
	all := &sheet{}
	for round := range rounds {
		l.progress("round %d of %d", round+1, rounds)
		for i, c := range contenders {
			benchmark(all, "serial", c.name, 1, providers[i])
			benchmark(all, "parallel", c.name, runtime.NumCPU(), providers[i])
		}
	}
	for _, f := range all.Figures {
		s.add(f.Scene, f.Contender, f.Name, f.Unit, f.median())
	}
	return ctx.Err()
}

// benchmark writes down what each call takes, with so many callers on as many processors.
func benchmark(s *sheet, scene, contender string, callers int, provider aws.CredentialsProvider) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(callers))
	result := testing.Benchmark(func(b *testing.B) {
		ctx := b.Context()
		b.RunParallel(func(pb *testing.PB) {
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

// Names of figures that bars speak of.
const (
	perCall     = "time of a call"
	allocations = "allocations"
)
