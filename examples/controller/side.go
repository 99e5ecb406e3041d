package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// Durations of the phases. The outage includes a refresh of all credentials, which starts after 60 to
// 80% of their lifetime.
const (
	workTime     = 8 * time.Second
	outageTime   = 30 * time.Second
	recoveryTime = 8 * time.Second
	hangTime     = 15 * time.Second
)

// side is one of the two controllers, with its own cluster and AWS accounts.
type side struct {
	cluster    *cluster
	controller *controller
	healthy    []*bucket
	denied     *bucket   // its role does not trust the service account
	hanging    []*bucket // buckets of one tenant, one for each worker

	work, outage, hang counts

	mu  sync.Mutex
	now counts
}

// counts are the counts of a phase. Reconciliations are counted only for healthy tenants.
type counts struct {
	reconciliations int
	waited          int // reconciliations that waited at least as long as one STS call
	errors          int
	longest         time.Duration // from when a bucket is due until it is reconciled
	stsCalls        int
	tokenRequests   int
}

func newSide(kit *irsatest.Cluster) (*side, error) {
	s := &side{cluster: newCluster(kit)}
	kit.STS.SetLatency(latency)
	kit.STS.SetLifetime(lifetime)
	const audience = "controller.example" // used by every other tenant
	kit.RegisterIssuer("111122223333", kit.Issuer, defaultAudience, audience)
	for i := range tenants {
		b, err := s.cluster.addTenant(fmt.Sprintf("tenant-%d", i), []string{"", audience}[i%2])
		if err != nil {
			return nil, err
		}
		s.healthy = append(s.healthy, b)
	}
	var err error
	if s.denied, err = s.cluster.addTenant("denied", ""); err != nil {
		return nil, err
	}
	kit.Role("denied") // without a trust policy
	s.denied.roles = nil
	hanging, err := s.cluster.addTenant("hanging", "")
	for range workers {
		b := *hanging
		s.hanging = append(s.hanging, &b)
	}
	return s, err
}

// run runs the controller through all phases.
func (s *side) run(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer stop()
	healthy := map[*bucket]bool{}
	for _, b := range s.healthy {
		healthy[b] = true
	}
	s.controller.observe = func(b *bucket, took time.Duration, err error) {
		if healthy[b] {
			s.count(time.Since(b.due), took, err)
		}
	}
	background.Go(func() { s.controller.run(ctx) })

	sts := s.cluster.kit.STS
	s.controller.add(s.denied, 0)
	for _, b := range s.healthy {
		s.controller.add(b, 0)
	}
	s.work = s.measure(ctx, workTime)
	sts.Fail(irsatest.Unavailable, -1)
	s.outage = s.measure(ctx, outageTime)
	sts.Recover()
	s.measure(ctx, recoveryTime)
	s.cluster.kit.Role("hanging", irsatest.InAccount(hubAccount)).Fail(irsatest.Hang, -1)
	for _, b := range s.hanging {
		s.controller.add(b, 0)
	}
	s.hang = s.measure(ctx, hangTime)
	sts.Recover()
}

func (s *side) count(late, took time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.reconciliations++
	s.now.longest = max(s.now.longest, late)
	if took >= latency {
		s.now.waited++
	}
	if err != nil {
		s.now.errors++
	}
}

// measure waits for d and returns the counts for that time.
func (s *side) measure(ctx context.Context, d time.Duration) counts {
	stsCalls, tokenRequests := s.cluster.kit.STS.CallCount(), s.cluster.tokenRequests()
	s.mu.Lock()
	s.now = counts{}
	s.mu.Unlock()
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.stsCalls = s.cluster.kit.STS.CallCount() - stsCalls
	s.now.tokenRequests = s.cluster.tokenRequests() - tokenRequests
	return s.now
}
