package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// rotationPlan configures the measure of a token file that is rotated repeatedly, and of an
// expired token that is replaced.
type rotationPlan struct {
	providers          int // per contender
	every, run         time.Duration
	life, rotate, torn time.Duration
	expired            int           // providers with an expired token, per contender
	wait               time.Duration // the minimum time until it is replaced; the maximum is twice that
}

const (
	swaps    = "atomic swaps"
	inPlace  = "written in place"
	replaced = "an expired token replaced"
	goodKeys = "until credentials"
	rotated  = "rotations"
	kubelet  = "the kubelet"
)

// rotation measures the effect of rotations on callers.
func rotation(p rotationPlan) measure {
	return measure{
		name: "rotation", title: "Rotation of the token",
		about: fmt.Sprintf("%d providers of each contender read the same file, each asked every %v for %v; credentials live %v. "+
			"The token is rotated every %v, by the kubelet's atomic swap, or in place by a slow writer that leaves the file "+
			"empty or cut short for %v. Then: a token that has expired is replaced after %v to %v; until credentials is "+
			"the longest of %d providers.", p.providers, p.every, p.run, p.life, p.rotate, p.torn, p.wait, 2*p.wait, p.expired),
		run: func(ctx context.Context, l *lab, s *sheet) error {
			for _, scene := range []struct {
				name string
				torn time.Duration
			}{{swaps, 0}, {inPlace, p.torn}} {
				l.progress("%s", scene.name)
				if err := rotateUnderLoad(ctx, l, s, scene.name, scene.torn, p); err != nil {
					return err
				}
			}
			l.progress(replaced)
			return replaceExpired(ctx, l, s, p)
		},
	}
}

// rotateUnderLoad rotates a token file that all contenders read.
func rotateUnderLoad(ctx context.Context, l *lab, s *sheet, scene string, torn time.Duration, p rotationPlan) (err error) {
	place, release, err := l.sts.place(Setup{Life: p.life, Latency: 5 * time.Millisecond, Exact: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	traffics := make([]traffic, len(dynamic))
	var providers [][]aws.CredentialsProvider
	for i, c := range dynamic {
		held, err := loadMany(ctx, c, place, &traffics[i], p.providers)
		defer closeAll(held)
		if err != nil {
			return err
		}
		providers = append(providers, held)
	}
	if err := l.sts.command("KeepRotating", Rotation{place.ID, p.rotate, torn}); err != nil {
		return err
	}
	running, cancel := context.WithTimeout(ctx, p.run)
	defer cancel()
	answers := make([][]request, len(dynamic))
	var asking sync.WaitGroup
	for i := range dynamic {
		asking.Go(func() { answers[i] = askMany(running, providers[i], p.every) })
	}
	asking.Wait()
	for i, c := range dynamic {
		a := summarize(answers[i])
		s.addCount(scene, c.name, requests, len(answers[i]))
		s.addCount(scene, c.name, failures, a.failed)
		s.addCount(scene, c.name, stsCalls, len(traffics[i].list())-p.providers)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var rotations int
	if err := l.sts.Call("Clusters.Rotations", place.ID, &rotations); err != nil {
		return err
	}
	s.addCount(scene, kubelet, rotated, rotations)
	return nil
}

// loadMany returns n providers that have got their first credentials. After an error, it also
// returns the providers created so far.
func loadMany(ctx context.Context, c contender, place Place, t *traffic, n int) ([]aws.CredentialsProvider, error) {
	var held []aws.CredentialsProvider
	for range n {
		provider, err := loaded(ctx, c, place, t)
		if err != nil {
			return held, err
		}
		held = append(held, provider)
	}
	return held, nil
}

func closeAll(providers []aws.CredentialsProvider) {
	for _, p := range providers {
		closeProvider(p)
	}
}

// askMany calls each provider from a separate caller.
func askMany(ctx context.Context, providers []aws.CredentialsProvider, every time.Duration) []request {
	answers := make([][]request, len(providers))
	var asking sync.WaitGroup
	for i, provider := range providers {
		asking.Go(func() { answers[i] = ask(ctx, provider, 1, every) })
	}
	asking.Wait()
	return slices.Concat(answers...)
}

// fresh is a contender that starts with an expired token.
type fresh struct {
	name     string
	place    Place
	provider aws.CredentialsProvider
	traffic  traffic
	wait     time.Duration // from the replacement of the token to the first credentials
}

// replaceExpired starts each contender with an expired token and then replaces the token.
func replaceExpired(ctx context.Context, l *lab, s *sheet, p rotationPlan) (err error) {
	var all []*fresh
	for _, c := range dynamic {
		for range p.expired {
			place, release, failed := l.sts.place(Setup{Life: time.Hour, Latency: 5 * time.Millisecond})
			if failed != nil {
				return failed
			}
			defer func() { err = errors.Join(err, release()) }()
			f := &fresh{name: c.name, place: place}
			if f.provider, err = made(ctx, c, place, &f.traffic); err != nil {
				return err
			}
			defer closeProvider(f.provider)
			if err := l.sts.command("Expire", place.ID); err != nil {
				return err
			}
			all = append(all, f)
		}
	}
	if err := replaceAll(ctx, l, all, p); err != nil {
		return err
	}
	for _, c := range dynamic {
		longest, most := time.Duration(0), 0
		for _, f := range all {
			if f.name == c.name {
				longest, most = max(longest, f.wait), max(most, len(f.traffic.list()))
			}
		}
		s.addTime(replaced, c.name, goodKeys, longest)
		s.addCount(replaced, c.name, stsCalls, most)
	}
	return nil
}

// replaceAll runs replace for all contenders at the same time.
func replaceAll(ctx context.Context, l *lab, all []*fresh, p rotationPlan) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var waiting sync.WaitGroup
	for _, f := range all {
		waiting.Go(func() {
			if err := f.replace(ctx, l, p); err != nil {
				cancel(fmt.Errorf("%s: %w", f.name, err))
			}
		})
	}
	waiting.Wait()
	return context.Cause(ctx)
}

// replace replaces the token at a random time while a caller requests credentials.
func (f *fresh) replace(ctx context.Context, l *lab, p rotationPlan) error {
	ctx, cancel := context.WithTimeout(ctx, 2*p.wait+time.Minute)
	defer cancel()
	var caller sync.WaitGroup
	var good time.Time
	caller.Go(func() { good = askUntilGood(ctx, f.provider, p.every) })
	sleep(ctx, p.wait+rand.N(p.wait))
	there := time.Now()
	err := l.sts.command("Rotate", f.place.ID)
	if err != nil {
		cancel()
	}
	caller.Wait()
	f.wait = good.Sub(there)
	return errors.Join(err, ctx.Err())
}

// askUntilGood calls the provider until it returns credentials, and returns the time.
func askUntilGood(ctx context.Context, provider aws.CredentialsProvider, every time.Duration) time.Time {
	for ctx.Err() == nil {
		if !askOnce(provider, time.Now()).failed {
			break
		}
		sleep(ctx, every)
	}
	return time.Now()
}
