package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/irsakit/irsakit/irsa"
)

// rolesPlan configures the measure of thousands of roles in one process.
type rolesPlan struct {
	roles     int
	life, run time.Duration
	latency   time.Duration
}

// A holder is a way to hold the credentials of many roles.
type holder struct {
	name string
	open func(Place, *traffic) (func(arn string) (aws.CredentialsProvider, error), func(), error)
}

var holders = []holder{{static, holdStatic}, {ours, holdPool}, {sdk, holdSDK}}

const (
	heapEach   = "heap of a role"
	processor  = "processor time"
	goroutines = "goroutines"
	peakCalls  = "STS calls at a time"

	roleCallers = 64
)

// manyRoles measures the cost of thousands of roles in one process.
func manyRoles(p rolesPlan) measure {
	return measure{
		name: "roles", title: "Ten thousand roles in one process",
		about: fmt.Sprintf("A Pool of %d roles beside as many of the SDK's providers, each in its cache, with one client, and beside static "+
			"keys, each in a process of its own. All roles are loaded at the same time, then each is asked once a second for %v; credentials live %v, so that each "+
			"is refreshed once. STS, here a process of its own, takes %v to answer and speaks TLS, as AWS's does, so that connections cost what they cost there; it runs only when no other "+
			"process wants to, so that it delays no caller on the same machine. In the long run irsakit, "+
			"which refreshes at 60 to 80 %% of the life, makes 1.25 to 1.67 times the SDK's calls for a role that is in use, and takes that much more for them.",
			p.roles, p.run, p.life, p.latency),
		run: func(ctx context.Context, l *lab, s *sheet) (err error) {
			sts, err := startSTS()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, sts.stop()) }()
			if err := sts.command("StepBack", struct{}{}); err != nil {
				return err
			}
			place, release, err := sts.place(Setup{Life: p.life, Latency: p.latency, Roles: p.roles, TLS: true})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, release()) }()
			for _, h := range holders {
				l.progress("%s", h.name)
				if err := inProcess(ctx, s, holding{h.name, place, p.run}); err != nil {
					return fmt.Errorf("%s: %w", h.name, err)
				}
			}
			return nil
		},
	}
}

func holdStatic(Place, *traffic) (func(string) (aws.CredentialsProvider, error), func(), error) {
	return func(string) (aws.CredentialsProvider, error) {
		return newStatic(context.Background(), Place{}, nil)
	}, func() {}, nil
}

// holdSDK creates the SDK's providers as its config package does, with a shared client.
func holdSDK(place Place, t *traffic) (func(string) (aws.CredentialsProvider, error), func(), error) {
	transport, err := trust(newTransport(), place)
	if err != nil {
		return nil, nil, err
	}
	connections := t.client(transport)
	client := sts.New(sts.Options{
		Region: region, BaseEndpoint: aws.String(place.Endpoint), Credentials: aws.AnonymousCredentials{}, HTTPClient: connections,
	})
	return func(arn string) (aws.CredentialsProvider, error) {
		return aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(client, arn, stscreds.IdentityTokenFile(place.TokenFile))), nil
	}, connections.CloseIdleConnections, nil
}

func holdPool(place Place, t *traffic) (func(string) (aws.CredentialsProvider, error), func(), error) {
	transport, err := trust(newTransport(), place)
	if err != nil {
		return nil, nil, err
	}
	transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = 32, 32 // like the default client of a Pool
	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) {
		o.Region, o.Endpoint, o.TokenFile, o.HTTPClient = region, place.Endpoint, place.TokenFile, t.client(transport)
	})
	if err != nil {
		return nil, nil, err
	}
	return func(arn string) (aws.CredentialsProvider, error) {
		return pool.Provider(irsa.RoleOptions{RoleARN: arn})
	}, func() { _ = pool.Close() }, nil
}

// holderVariable is the environment variable that makes the program hold roles. Each holder
// has a separate process, so that its memory and time are measured separately.
const holderVariable = "BENCH_HOLDER"

// holding is the task of such a process. Its output is figures.
type holding struct {
	Holder string
	Place  Place
	Run    time.Duration
}

// inProcess performs the task in a child process and adds its figures to s.
func inProcess(ctx context.Context, s *sheet, task holding) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	told, err := json.Marshal(task)
	if err != nil {
		return err
	}
	child := exec.CommandContext(ctx, program) // #nosec G204 -- this program itself
	child.Env = append(os.Environ(), holderVariable+"=1")
	child.Stdin, child.Stderr = bytes.NewReader(told), os.Stderr
	said, err := child.Output()
	if err != nil {
		return err
	}
	var figures []figure
	if err := json.Unmarshal(said, &figures); err != nil {
		return err
	}
	for _, f := range figures {
		s.add(f.Scene, f.Contender, f.Name, f.Unit, f.median())
	}
	return nil
}

// holdRoles is the main function of such a process.
func holdRoles(ctx context.Context, in io.Reader, out io.Writer) error {
	var task holding
	if err := json.NewDecoder(in).Decode(&task); err != nil {
		return err
	}
	for _, h := range holders {
		if h.name == task.Holder {
			var s sheet
			if err := hold(ctx, &s, h, task.Place, task.Run); err != nil {
				return err
			}
			return json.NewEncoder(out).Encode(s.Figures)
		}
	}
	return fmt.Errorf("nobody is called %q", task.Holder)
}

// hold loads all roles, calls their providers, and adds the figures to s.
func hold(ctx context.Context, s *sheet, h holder, place Place, run time.Duration) error {
	var t traffic
	before, begin := heapInUse(), cpuTime()
	open, release, err := h.open(place, &t)
	if err != nil {
		return err
	}
	defer release()
	providers := make([]aws.CredentialsProvider, len(place.RoleARNs))
	for i, arn := range place.RoleARNs {
		if providers[i], err = open(arn); err != nil {
			return err
		}
	}
	took, failed := load(ctx, providers)
	loading := cpuTime() - begin
	s.addTime("", h.name, "first load", took)
	s.addCount("", h.name, "failed in it", int(failed))
	sleep(ctx, time.Second) // until the resources of the first load have been released
	s.add("", h.name, heapEach, memory, max(float64(heapInUse())-float64(before), 0)/float64(len(providers)))
	s.addCount("", h.name, goroutines, runtime.NumGoroutine())
	t.takePeak()
	begin = cpuTime()
	asked, err := askOften(ctx, providers, run)
	if err != nil {
		return err
	}
	s.addTime("", h.name, processor, loading+cpuTime()-begin)
	s.addCount("", h.name, stsCalls, len(t.list()))
	s.addCount("", h.name, peakCalls, t.takePeak())
	s.addCount("", h.name, "connections", t.connections.count())
	s.addCount("", h.name, requests, asked.asked)
	s.addCount("", h.name, failures, asked.failed)
	s.addCount("", h.name, overSlow, asked.slow)
	s.addTime("", h.name, longest, asked.longest)
	runtime.KeepAlive(providers)
	return ctx.Err()
}

// load gets the first credentials of all roles at the same time. It retries after failures.
func load(ctx context.Context, providers []aws.CredentialsProvider) (took time.Duration, failed int64) {
	begin := time.Now()
	var all sync.WaitGroup
	var failures atomic.Int64
	for _, provider := range providers {
		all.Go(func() {
			for ctx.Err() == nil {
				if _, err := provider.Retrieve(ctx); err == nil {
					return
				}
				failures.Add(1)
				sleep(ctx, 100*time.Millisecond)
			}
		})
	}
	all.Wait()
	return time.Since(begin), failures.Load()
}

// tally counts requests. They are too many to be kept without a noticeable cost.
type tally struct {
	asked, slow, failed int
	longest             time.Duration
}

func (t *tally) add(r request) {
	t.asked++
	if r.took > slow {
		t.slow++
	}
	if r.failed {
		t.failed++
	}
	t.longest = max(t.longest, r.took)
}

func (t *tally) join(other tally) {
	t.asked, t.slow, t.failed = t.asked+other.asked, t.slow+other.slow, t.failed+other.failed
	t.longest = max(t.longest, other.longest)
}

// askOften calls each provider once per second. Each caller calls its share of the providers
// one after the other, and all calls of a second are due when the caller wakes up.
func askOften(ctx context.Context, providers []aws.CredentialsProvider, run time.Duration) (all tally, err error) {
	var mu sync.Mutex
	var asking sync.WaitGroup
	for c := range roleCallers {
		first := time.Duration(c+1) * time.Second / roleCallers
		ticks, tickErr := newMetronome(first, time.Second)
		if tickErr != nil {
			err = tickErr
			break
		}
		asking.Go(func() {
			defer ticks.Close()
			var mine tally
			for passed := first; passed <= run; passed += time.Second {
				due, tickErr := ticks.wait(ctx)
				if tickErr != nil {
					return // ctx is done; hold returns its error
				}
				for i := c; i < len(providers); i += roleCallers {
					mine.add(askOnce(providers[i], due))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all.join(mine)
		})
	}
	asking.Wait()
	return all, err
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
