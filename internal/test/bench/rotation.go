package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// rotationPlan configures the measure of a token file that is rotated repeatedly, and of an
// expired token that is replaced.
type rotationPlan struct {
	Providers, Expired                             int // per contender, with a valid and an expired token
	Every, Run, Lifetime, Latency, Rotate, Partial time.Duration
	Wait                                           time.Duration // the minimum time until an expired token is replaced; the maximum is twice that
}

const (
	swaps    = "atomic swaps"
	inPlace  = "written in place"
	replaced = "expired token replaced"
	goodKeys = "time to credentials"
	rotated  = "rotations"
	kubelet  = "kubelet"
)

// run measures the effect of rotations on callers.
func (p rotationPlan) run(ctx context.Context, l *lab, s *sheet) error {
	if err := p.rotateUnderLoad(ctx, l, s, swaps, 0); err != nil {
		return err
	}
	if err := p.rotateUnderLoad(ctx, l, s, inPlace, p.Partial); err != nil {
		return err
	}
	return p.replaceExpired(ctx, l, s)
}

// rotateUnderLoad rotates a token file that all contenders read.
func (p rotationPlan) rotateUnderLoad(ctx context.Context, l *lab, s *sheet, scene string, partial time.Duration) error {
	place, err := l.place(Setup{Lifetime: p.Lifetime, Latency: p.Latency, Exact: true})
	if err != nil {
		return err
	}
	traffics := make([]traffic, len(dynamic))
	var providers []aws.CredentialsProvider
	for i, c := range dynamic {
		loaded, err := l.providers(ctx, c, place, &traffics[i], p.Providers, true)
		if err != nil {
			return err
		}
		providers = append(providers, loaded...)
	}
	running, cancel := context.WithTimeout(ctx, p.Run)
	defer cancel()
	rotations, failed := 0, error(nil)
	var node sync.WaitGroup
	node.Go(func() {
		for tick := time.Tick(p.Rotate); failed == nil; rotations++ {
			select {
			case <-tick:
				failed = l.child.do(Command{Cluster: place.ID, Name: rotate, Partial: partial, Empty: rotations%2 == 1})
			case <-running.Done():
				return
			}
		}
	})
	answers := make([][]request, len(providers))
	_ = each(running, len(providers), func(ctx context.Context, i int) error {
		answers[i] = call(ctx, providers[i], 1, p.Every)
		return nil
	})
	node.Wait()
	for i, c := range dynamic {
		total := summarize(slices.Concat(answers[i*p.Providers : (i+1)*p.Providers]...))
		s.addCount(scene, c.name, requests, total.count)
		s.addCount(scene, c.name, failures, total.failed)
		s.addCount(scene, c.name, stsCalls, len(traffics[i].list())-p.Providers)
	}
	s.addCount(scene, kubelet, rotated, rotations)
	return errors.Join(failed, l.close())
}

// fresh is a provider that starts with an expired token.
type fresh struct {
	provider aws.CredentialsProvider
	place    Place
	traffic  traffic
	wait     time.Duration // from the replacement of the token to the first credentials
}

// replaceExpired starts providers with expired tokens and then replaces the tokens.
func (p rotationPlan) replaceExpired(ctx context.Context, l *lab, s *sheet) error {
	all := make([]fresh, len(dynamic)*p.Expired)
	for i := range all {
		place, err := l.place(Setup{Lifetime: time.Hour, Latency: p.Latency})
		if err != nil {
			return err
		}
		providers, err := l.providers(ctx, dynamic[i/p.Expired], place, &all[i].traffic, 1, false)
		if err != nil {
			return err
		}
		all[i].provider, all[i].place = providers[0], place
		if err := l.child.do(Command{Cluster: place.ID, Name: expire}); err != nil {
			return err
		}
	}
	if err := each(ctx, len(all), func(ctx context.Context, i int) error { return all[i].replace(ctx, l, p) }); err != nil {
		return err
	}
	for i, c := range dynamic {
		longest, most := time.Duration(0), 0
		for j := range p.Expired {
			f := &all[i*p.Expired+j]
			longest, most = max(longest, f.wait), max(most, len(f.traffic.list()))
		}
		s.addTime(replaced, c.name, goodKeys, longest)
		s.addCount(replaced, c.name, stsCalls, most)
	}
	return nil
}

// replace replaces the token at a random time while a caller requests credentials.
func (f *fresh) replace(ctx context.Context, l *lab, p rotationPlan) error {
	ctx, cancel := context.WithTimeout(ctx, 2*p.Wait+time.Minute)
	defer cancel()
	var begin time.Time
	var err error
	var node sync.WaitGroup
	node.Go(func() {
		sleep(ctx, p.Wait+rand.N(p.Wait))
		begin = time.Now()
		err = l.child.do(Command{Cluster: f.place.ID, Name: rotate})
	})
	for ctx.Err() == nil && callOnce(f.provider, time.Now()).failed {
		sleep(ctx, p.Every)
	}
	end := time.Now()
	node.Wait()
	f.wait = end.Sub(begin)
	return errors.Join(err, ctx.Err())
}
