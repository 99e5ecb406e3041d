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

// rotationPlan is a token file that is written again and again, and one that has expired.
type rotationPlan struct {
	providers          int // of each contender
	every, run         time.Duration
	life, rotate, torn time.Duration
	expired            int           // providers of each contender with a token that has expired
	wait               time.Duration // until it is replaced, and up to as much more
}

const (
	swaps    = "atomic swaps"
	inPlace  = "written in place"
	replaced = "an expired token replaced"
	goodKeys = "until credentials"
)

// dynamic are the contenders that read the token.
var dynamic = []contender{irsakit, asConfig, withWindow, minioIAM}

// rotation measures what callers notice of rotations.
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

// rotateUnderLoad lets all contenders read one file that is rotated.
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
	return ctx.Err()
}

// loadMany makes several providers, with their first credentials; those that were made are
// returned also with an error.
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

// askMany asks each provider with a caller of its own.
func askMany(ctx context.Context, providers []aws.CredentialsProvider, every time.Duration) []request {
	answers := make([][]request, len(providers))
	var asking sync.WaitGroup
	for i, provider := range providers {
		asking.Go(func() { answers[i] = ask(ctx, provider, 1, every) })
	}
	asking.Wait()
	return slices.Concat(answers...)
}

// replaceExpired lets each contender begin with a token that has expired.
func replaceExpired(ctx context.Context, l *lab, s *sheet, p rotationPlan) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var waiting sync.WaitGroup
	waits, calls := make([][]time.Duration, len(dynamic)), make([][]int, len(dynamic))
	var mu sync.Mutex
	for i, c := range dynamic {
		for range p.expired {
			waiting.Go(func() {
				var t traffic
				wait, err := replaceOne(ctx, l, c, &t, p)
				if err != nil {
					cancel(err)
				}
				mu.Lock()
				defer mu.Unlock()
				waits[i], calls[i] = append(waits[i], wait), append(calls[i], len(t.list()))
			})
		}
	}
	waiting.Wait()
	for i, c := range dynamic {
		s.addTime(replaced, c.name, goodKeys, slices.Max(waits[i]))
		s.addCount(replaced, c.name, stsCalls, slices.Max(calls[i]))
	}
	return context.Cause(ctx)
}

// replaceOne returns how long callers were without credentials after the token was replaced.
func replaceOne(ctx context.Context, l *lab, c contender, t *traffic, p rotationPlan) (wait time.Duration, err error) {
	place, release, err := l.sts.place(Setup{Life: time.Hour, Latency: 5 * time.Millisecond})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := l.sts.command("Expire", place.ID); err != nil {
		return 0, err
	}
	provider, err := c.make(ctx, place, t.client(newTransport()))
	if err != nil {
		return 0, err
	}
	defer closeProvider(provider)
	asking, stop := context.WithCancel(ctx)
	defer stop()
	var callers sync.WaitGroup
	good := make(chan time.Time, 1)
	callers.Go(func() { good <- askUntilGood(asking, provider, p.every) })
	sleep(ctx, p.wait+rand.N(p.wait))
	if err := l.sts.command("Rotate", place.ID); err != nil {
		return 0, err
	}
	there := time.Now()
	defer callers.Wait()
	return (<-good).Sub(there), ctx.Err()
}

// askUntilGood asks until there are credentials, and returns when.
func askUntilGood(ctx context.Context, provider aws.CredentialsProvider, every time.Duration) time.Time {
	for ctx.Err() == nil {
		if _, err := provider.Retrieve(ctx); err == nil {
			break
		}
		sleep(ctx, every)
	}
	return time.Now()
}
