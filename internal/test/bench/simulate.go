package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// herdPlan configures the simulation of pods that start at the same instant.
type herdPlan struct {
	Pods, Lifetimes          int
	Lifetime, Latency, Every time.Duration
	Short, Outage            time.Duration // the lifetime and the duration of an outage that outlasts it
}

// rotationPlan configures the simulation of a token file that is rotated repeatedly, and of an expired
// token that is replaced.
type rotationPlan struct {
	Providers, Expired                             int // per contender, with a valid and an expired token
	Every, Run, Lifetime, Latency, Rotate, Partial time.Duration
	ExpiredEvery, Wait                             time.Duration // an expired token is replaced after Wait to twice that
}

// outagePlan configures the simulation of an outage of STS. It begins when the contender refreshes, which
// is its worst case.
type outagePlan struct {
	Callers        int
	Every, Latency time.Duration
	Long, Short    time.Duration // lifetimes of credentials
	Duration       time.Duration // of the outage
	Hang           time.Duration // duration of a call that hangs, which may exceed the outage
	After          time.Duration // how long callers continue afterwards
}

// kinds contains the kinds of outages.
var kinds = []struct {
	name  string
	fault irsatest.Fault // "" means that connections are refused
}{
	{"refused", ""},
	{"503", irsatest.Unavailable},
	{"throttled", irsatest.Throttling},
	{"IDP error", irsatest.IDPCommunicationError},
	{"hang", irsatest.Hang},
}

// survivalPlan configures the simulation of an outage that outlasts all credentials.
type survivalPlan struct {
	Pods      int
	Durations []time.Duration
	Latency   time.Duration
}

// controllerPlan configures the simulation of a controller that reconciles for many tenants.
type controllerPlan struct {
	Tenants                       int
	Every, Run, Lifetime, Latency time.Duration
	From, Outage                  time.Duration
}

// The figures of the simulations.
const (
	atStart   = "peak at the start"
	later     = "peak from the first refresh on"
	lastPeak  = "peak in the last lifetime"
	afterward = "peak in a second after an outage"
	herding   = "herd" // a chart

	noneFails = "no pod fails for"
	halfFail  = "half of the pods fail after"
	allFail   = "all pods fail after"
	surviving = "survival" // a chart

	during   = "STS calls during outage"
	recovery = "recovery"
	shorter  = "shorter: "
	longer   = "longer: "
	served   = "served" // charts
	calling  = "calls"

	chartFrom, chartTo = -5, 20 // in seconds since the outage began

	swaps    = "atomic swaps"
	inPlace  = "written in place"
	replaced = "expired token replaced"
	goodKeys = "time to credentials"

	kept     = "SDK, kept"
	eachTime = "SDK, new each time"
)

// simulationVariable is the environment variable with the file that contains the plan of a simulation,
// and to which the simulation writes its sheet. Both are in JSON.
const simulationVariable = "BENCH_SIMULATION"

// simulate returns the run function of a measure in simulated time. Such a measure is a test, because
// testing/synctest needs one. Without the file, as in CI, the test uses a small plan.
func (p plan) simulate(test string) func(context.Context, *lab, *sheet) error {
	return func(ctx context.Context, l *lab, s *sheet) error {
		folder, err := l.folder()
		if err != nil {
			return err
		}
		file := filepath.Join(folder, "simulation.json")
		text, err := json.Marshal(p)
		if err := errors.Join(err, os.WriteFile(file, text, 0o600)); err != nil {
			return err
		}
		command := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout=30m", "-run=^"+test+"$", ".") // #nosec G204 -- a test of this package
		command.Env = append(os.Environ(), simulationVariable+"="+file)
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		var result sheet
		text, err = os.ReadFile(file)
		if err := errors.Join(err, json.Unmarshal(text, &result)); err != nil {
			return err
		}
		s.addMedians(&result)
		for _, line := range result.Series {
			s.draw(line)
		}
		return nil
	}
}
