package main

import (
	"context"
	"time"
)

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

// measures returns all measures in the order of the page.
func (p plan) measures() []measure {
	return []measure{
		{"cached", p.Cached.run}, {"steady", p.Steady.run}, {"outage", p.Outage.run}, {"rotation", p.Rotation.run},
		{"start", p.Start.run}, {"roles", p.Roles.run}, {"herd", p.Herd.run},
	}
}
