package main

import (
	"os"
	"strings"
	"time"
)

// plan configures the extent of the measures.
type plan struct {
	cached int // the number of rounds

	steady steadyPlan
	outage outagePlan
	swaps  rotationPlan
	starts int // the number of starts of each program
	roles  rolesPlan
	herd   herdPlan
}

// full is the plan for the published page.
var full = plan{
	cached: 3,
	steady: steadyPlan{
		callers: 64, every: 10 * time.Millisecond, run: 20 * time.Second,
		life: 5 * time.Second, latency: 300 * time.Millisecond,
	},
	outage: outagePlan{
		callers: 32, every: 40 * time.Millisecond,
		long: 60 * time.Second, short: 20 * time.Second,
		lasts: 10 * time.Second, stuck: 30 * time.Second, after: 10 * time.Second,
	},
	swaps: rotationPlan{
		providers: 50, every: 20 * time.Millisecond, run: 20 * time.Second,
		life: 2 * time.Second, rotate: 400 * time.Millisecond, torn: 100 * time.Millisecond,
		expired: 10, wait: 5 * time.Second,
	},
	starts: 20,
	roles:  rolesPlan{roles: 10_000, life: 120 * time.Second, run: 120 * time.Second, latency: 50 * time.Millisecond},
	herd:   herdPlan{pods: 1_000, life: 30 * time.Second, lives: 3, every: 200 * time.Millisecond},
}

// measures returns all measures in the order of the page.
func measures(p plan) []measure {
	return []measure{
		cached(p.cached), steady(p.steady), outages(p.outage), rotation(p.swaps), start(p.starts), manyRoles(p.roles), herd(p.herd),
	}
}

// cleanEnvironment removes the settings that the SDKs would read.
func cleanEnvironment() error {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		if err := os.Setenv(name, os.DevNull); err != nil {
			return err
		}
	}
	return nil
}
