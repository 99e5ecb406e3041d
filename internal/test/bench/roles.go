package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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
	Roles                  int
	Lifetime, Run, Latency time.Duration
}

const (
	heapPerRole = "heap per role"
	processor   = "processor time"
	roleCallers = 64
)

// run measures the cost of thousands of roles in one process.
func (p rolesPlan) run(ctx context.Context, _ *lab, s *sheet) error {
	sts, err := startChild(ctx)
	if err != nil {
		return err
	}
	l := &lab{child: sts, releases: []func() error{sts.stop}}
	place, err := l.place(Setup{Lifetime: p.Lifetime, Latency: p.Latency, Roles: p.Roles, TLS: true, Idle: true})
	for i := range holders {
		if err == nil {
			err = p.measure(ctx, s, Holding{i, place, p.Run})
		}
	}
	return errors.Join(err, l.close())
}

// measure performs the task in a process of its own, so that the memory and time of each holder are
// measured separately.
func (p rolesPlan) measure(ctx context.Context, s *sheet, task Holding) error {
	child, err := startChild(ctx)
	if err != nil {
		return err
	}
	var reply []byte
	err = child.Call("Clusters.Hold", task, &reply)
	if err := errors.Join(err, child.stop()); err != nil {
		return fmt.Errorf("%s: %w", holders[task.Holder].name, err)
	}
	var result sheet
	if err := json.Unmarshal(reply, &result); err != nil {
		return err
	}
	s.addMedians(&result)
	return nil
}

// An opener returns the provider of a role.
type opener func(arn string) (aws.CredentialsProvider, error)

// A holder is a way to hold the credentials of many roles.
type holder struct {
	name        string
	connections int // the limit of connections; 0 for the SDK's default
	open        func(Place, *http.Client) opener
}

var holders = []holder{{static, 0, holdStatic}, {ours, 32, holdPool}, {sdk, 0, holdSDK}} // 32 is the limit of a Pool's default client

func holdStatic(place Place, client *http.Client) opener {
	return func(string) (aws.CredentialsProvider, error) { return newStatic(context.Background(), place, client) }
}

// holdSDK creates the SDK's providers as its config package does, with a shared client.
func holdSDK(place Place, client *http.Client) opener {
	shared := sts.New(sts.Options{
		Region: region, BaseEndpoint: aws.String(place.Endpoint), Credentials: aws.AnonymousCredentials{}, HTTPClient: client,
	})
	return func(arn string) (aws.CredentialsProvider, error) {
		return aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(shared, arn, stscreds.IdentityTokenFile(place.TokenFile))), nil
	}
}

func holdPool(place Place, client *http.Client) opener {
	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) {
		o.Region, o.Endpoint, o.TokenFile, o.HTTPClient = region, place.Endpoint, place.TokenFile, client
	})
	return func(arn string) (aws.CredentialsProvider, error) {
		if err != nil {
			return nil, err
		}
		return pool.Provider(irsa.RoleOptions{RoleARN: arn})
	}
}

// Holding is the task of a process that holds roles.
type Holding struct {
	Holder int // in holders
	Place  Place
	Run    time.Duration
}

// Hold loads all roles and calls their providers, in the child process. The reply is a sheet in JSON.
func (*Clusters) Hold(task Holding, reply *[]byte) (err error) {
	ctx, place, h := context.Background(), task.Place, holders[task.Holder]
	s, others := sheet{}, runtime.NumGoroutine()-1 // of the RPC server
	before, begin := heapInUse(), cpuTime()
	transport := newTransport()
	if err := place.trust(transport); err != nil {
		return err
	}
	if h.connections > 0 {
		transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = h.connections, h.connections
	}
	var t traffic
	open := h.open(place, t.client(transport))
	providers := make([]aws.CredentialsProvider, len(place.RoleARNs))
	for i, arn := range place.RoleARNs {
		if providers[i], err = open(arn); err != nil {
			return err
		}
	}
	took, failed := load(ctx, providers)
	loading := cpuTime() - begin
	s.addTime("", h.name, "first load", took)
	s.addCount("", h.name, "failed during load", int(failed))
	sleep(ctx, time.Second) // until the resources of the first load have been released
	s.add("", h.name, heapPerRole, memory, max(float64(heapInUse())-float64(before), 0)/float64(len(providers)))
	s.addCount("", h.name, "goroutines", runtime.NumGoroutine()-others)
	t.takePeak()
	begin = cpuTime()
	total := callOften(ctx, providers, task.Run)
	s.addTime("", h.name, processor, loading+cpuTime()-begin)
	s.addCount("", h.name, stsCalls, len(t.list()))
	s.addCount("", h.name, "concurrent STS calls", t.takePeak())
	s.addCount("", h.name, "connections", t.connections)
	total.report(&s, "", h.name)
	runtime.KeepAlive(providers)
	*reply, err = json.Marshal(s)
	return err
}

// load gets the first credentials of all roles at the same time. It retries after failures.
func load(ctx context.Context, providers []aws.CredentialsProvider) (took time.Duration, failed int64) {
	begin := time.Now()
	var failures atomic.Int64
	_ = each(ctx, len(providers), func(ctx context.Context, i int) error {
		for {
			if _, err := providers[i].Retrieve(ctx); err == nil {
				return nil
			}
			failures.Add(1)
			sleep(ctx, 100*time.Millisecond)
		}
	})
	return time.Since(begin), failures.Load()
}

// callOften calls each provider once per second. Each caller calls its share of the providers
// one after the other, and all calls of a second are due when the caller wakes up, or when it
// should have woken up if it was still calling.
func callOften(ctx context.Context, providers []aws.CredentialsProvider, run time.Duration) (total tally) {
	var mu sync.Mutex
	begin := time.Now()
	_ = each(ctx, roleCallers, func(ctx context.Context, i int) error {
		var mine tally
		for passed := time.Duration(i+1) * time.Second / roleCallers; passed <= run; passed += time.Second {
			due := begin.Add(passed)
			if wait := time.Until(due); wait > 0 {
				sleep(ctx, wait)
				due = time.Now() // a timer may be late regardless of the contender
			}
			for j := i; j < len(providers); j += roleCallers {
				mine.add(callOnce(providers[j], due))
			}
		}
		mu.Lock()
		defer mu.Unlock()
		total.count, total.slow, total.failed = total.count+mine.count, total.slow+mine.slow, total.failed+mine.failed
		total.longest = max(total.longest, mine.longest)
		return nil
	})
	return total
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
