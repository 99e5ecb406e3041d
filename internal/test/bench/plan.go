package main

import (
	"testing"
	"time"
)

// plan configures the measures. Page and charts show it.
type plan struct {
	Runs       int // of each measure, unless a measure has a lower number of its own
	Cached     cachedPlan
	Steady     steadyPlan
	Outage     outagePlan
	Rotation   rotationPlan
	Start      startPlan
	Roles      rolesPlan
	Herd       herdPlan
	Survival   survivalPlan
	Controller controllerPlan
}

// full is the plan for the published page.
var full = plan{
	Runs:   3,
	Cached: cachedPlan{Rounds: 3, Time: "200ms", Roles: 10_000, Certificates: 140},
	Steady: steadyPlan{
		Callers: 64, Every: 10 * time.Millisecond, Run: 10 * time.Second,
		Lifetime: 4 * time.Second, Latency: 300 * time.Millisecond,
	},
	Outage: outagePlan{
		Callers: 32, Every: 40 * time.Millisecond, Latency: 20 * time.Millisecond,
		Long: 60 * time.Second, Short: 20 * time.Second,
		Duration: 10 * time.Second, Hang: 30 * time.Second, After: 10 * time.Second,
	},
	Rotation: rotationPlan{
		Providers: 50, Every: time.Second, Run: 150 * time.Minute, Lifetime: 15 * time.Minute, Latency: 50 * time.Millisecond,
		Rotate: 5 * time.Second, Partial: time.Second,
		Expired: 10, ExpiredEvery: 20 * time.Millisecond, Wait: 3 * time.Second,
	},
	Start: startPlan{Times: 20, Latency: 50 * time.Millisecond},
	Roles: rolesPlan{Roles: 10_000, Lifetime: 42 * time.Second, Run: 20 * time.Second, Latency: 50 * time.Millisecond},
	Herd: herdPlan{
		Pods: 1_000, Lifetimes: 4, Lifetime: 15 * time.Minute, Latency: 50 * time.Millisecond, Every: time.Second,
		Short: 2 * time.Minute, Outage: 130 * time.Second,
	},
	Survival: survivalPlan{
		Pods: 100, Durations: []time.Duration{15 * time.Minute, time.Hour, 12 * time.Hour}, Latency: 50 * time.Millisecond,
	},
	Controller: controllerPlan{
		Tenants: 20, Every: 10 * time.Second, Run: 4 * time.Hour, Lifetime: time.Hour, Latency: 300 * time.Millisecond,
		From: 115 * time.Minute, Outage: 10 * time.Minute,
	},
}

// A measure is a benchmark that runs several times.
type measure struct {
	name string
	runs int // at most
	run  func(*testing.T, *sheet)
}

// measures returns all measures. Those whose runs take minutes and differ little have fewer of them.
func (p plan) measures() []measure {
	return []measure{
		{"cached", 3, p.Cached.run},
		{"steady", 3, p.Steady.run},
		{"start", 3, p.Start.run},
		{"roles", 3, p.Roles.measure(true, ours, sdk)},
		{"chains", 2, p.Roles.measure(false, ours, chains, sdk)},
		{"outage", 3, p.Outage.run},
		{"rotation", 3, p.Rotation.run},
		{"herd", 1, p.Herd.run},
		{"survival", 1, p.Survival.run},
		{"controller", 1, p.Controller.run},
	}
}
