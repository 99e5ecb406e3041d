package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// simulate runs a simulation, with the plan of the program that started the test if there is one.
func simulate(t *testing.T, run func(plan, *sheet)) {
	p, s, file := small, sheet{}, os.Getenv(simulationVariable)
	if file != "" {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &p))
	}
	run(p, &s)
	if file != "" {
		text, err := json.Marshal(s)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, text, 0o600))
	}
}

// A world is a cluster in memory with a pod.
type world struct {
	*irsatest.Cluster
	sa     *irsatest.ServiceAccount
	role   *irsatest.Role
	pod    *irsatest.Pod
	place  place
	memory http.RoundTripper
	client *http.Client           // of memory, through RoundTrip
	before atomic.Pointer[func()] // runs once, before the next call of STS continues
}

// RoundTrip sends a request to the cluster.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	if before := w.before.Swap(nil); before != nil {
		(*before)()
	}
	return w.memory.RoundTrip(r)
}

func newWorld(t *testing.T, lifetime, latency time.Duration) *world {
	k := irsatest.New(t)
	k.Issuer.SetAlgorithm("ES256")
	k.STS.SetLifetime(lifetime)
	k.STS.SetLatency(latency)
	sa := k.ServiceAccount("shop", "cart")
	role := k.Role("s3-writer", irsatest.Trust(sa), irsatest.MaxSessionDuration(12*time.Hour))
	pod := k.Pod(sa, role, func(o *irsatest.PodOptions) { o.AutoRotate = true })
	w := &world{Cluster: k, sa: sa, role: role, pod: pod, memory: k.HTTPClient().Transport}
	w.place = place{Lifetime: lifetime, TokenFile: pod.TokenFile(), RoleARN: role.ARN()}
	w.client = &http.Client{Transport: w}
	return w
}

// provider returns a provider of the contender.
func (w *world) provider(t *testing.T, c contender) aws.CredentialsProvider {
	provider, err := c.make(t.Context(), w.place, w.client)
	require.NoError(t, err)
	if p, ok := provider.(*irsa.Provider); ok {
		t.Cleanup(func() { _ = p.Close() })
	}
	if c.name != minioGo {
		return provider
	}
	// minio-go calls STS with a locked mutex. Time does not pass in synctest while others wait for a
	// mutex, so they wait here.
	turn := make(chan struct{}, 1)
	return aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		turn <- struct{}{}
		defer func() { <-turn }()
		return provider.Retrieve(ctx)
	})
}

// run makes requests with n providers until the end. They start within the time of starting.
func (w *world) run(n int, starting, every time.Duration, end time.Time, provider func(i int) aws.CredentialsProvider) tally {
	results := make([]tally, n)
	var running sync.WaitGroup
	for i := range results {
		p := provider(i)
		running.Go(func() {
			time.Sleep(rand.N(starting + 1))
			results[i] = summarize(call(p, 1, every, func(due time.Time) bool { return due.After(end) }))
		})
	}
	running.Wait()
	return sum(results)
}

// calls returns the times of the calls to STS.
func (w *world) calls() (all []time.Time) {
	for _, c := range w.STS.Calls() {
		all = append(all, c.Time)
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// TestHerd simulates pods that start at the same instant, and pods that recover from a common outage.
func TestHerd(t *testing.T) {
	simulate(t, func(p plan, s *sheet) {
		for _, c := range []contender{irsakit, asConfig, withWindow} {
			synctest.Test(t, func(t *testing.T) { p.Herd.start(t, s, c) })
			synctest.Test(t, func(t *testing.T) { p.Herd.recoverTogether(t, s, c) })
		}
		assert.InDelta(t, p.Herd.Pods, s.find("", sdk, later).median(), 0)
		assert.Less(t, s.find("", ours, later).median(), float64(p.Herd.Pods))
		assert.Zero(t, s.find("", ours, failures).median())
	})
}

func (p herdPlan) start(t *testing.T, s *sheet, c contender) {
	w := newWorld(t, p.Lifetime, p.Latency)
	first := time.Now()
	total := w.run(p.Pods, 0, p.Every, first.Add(time.Duration(p.Lifetimes)*p.Lifetime), func(int) aws.CredentialsProvider { return w.provider(t, c) })
	calls := w.calls()
	from := func(share float64) int { // the first call from a time on, in lifetimes
		i, _ := slices.BinarySearchFunc(calls, first.Add(time.Duration(share*float64(p.Lifetime))), time.Time.Compare)
		return i
	}
	s.addCount("", c.name, atStart, peak(calls[:from(0.5)], p.Lifetime/100))
	s.addCount("", c.name, later, peak(calls[from(0.5):], p.Lifetime/100))
	s.addCount("", c.name, lastPeak, peak(calls[from(float64(p.Lifetimes-1)):], p.Lifetime/100))
	s.addCount("", c.name, stsCalls, len(calls))
	s.addCount("", c.name, failures, total.failed)
	s.draw(series{herding, c.name, 0, 0.01, perInterval(calls, first, p.Lifetime/100, p.Lifetimes*100)})
}

// recoverTogether simulates an outage that outlasts the credentials of pods that started at random times.
func (p herdPlan) recoverTogether(t *testing.T, s *sheet, c contender) {
	w := newWorld(t, p.Short, p.Latency)
	outage := time.Now().Add(3 * p.Short)
	time.AfterFunc(time.Until(outage), w.STS.Down)
	time.AfterFunc(time.Until(outage.Add(p.Outage)), func() {
		w.STS.ForgetCalls()
		w.STS.Up()
	})
	w.run(p.Pods, p.Short, p.Every, outage.Add(p.Outage+10*time.Second), func(int) aws.CredentialsProvider { return w.provider(t, c) })
	s.addCount("", c.name, afterward, peak(w.calls(), time.Second))
}

// TestSurvival simulates pods during an outage that outlasts their credentials.
func TestSurvival(t *testing.T) {
	simulate(t, func(p plan, s *sheet) {
		for _, d := range p.Survival.Durations {
			for _, c := range []contender{irsakit, asConfig, withWindow} {
				synctest.Test(t, func(t *testing.T) { p.Survival.simulate(t, s, c, d) })
			}
			assert.GreaterOrEqual(t, s.find(short(d), ours, noneFails).median(), 0.18*float64(d))
		}
	})
}

// simulate starts pods at random times and measures how long they have credentials in the outage.
func (p survivalPlan) simulate(t *testing.T, s *sheet, c contender, d time.Duration) {
	w := newWorld(t, d, p.Latency)
	w.place.Duration = d
	outage := time.Now().Add(3 * d)
	survived := make([]time.Duration, p.Pods)
	var pods sync.WaitGroup
	for i := range survived {
		provider := w.provider(t, c)
		pods.Go(func() {
			time.Sleep(rand.N(d))
			for !callOnce(provider, time.Now()).failed {
				survived[i] = max(time.Since(outage), 0)
				time.Sleep(d / 400)
			}
		})
	}
	time.Sleep(time.Until(outage))
	w.STS.Down()
	pods.Wait()
	slices.Sort(survived)
	s.addTime(short(d), c.name, noneFails, survived[0])
	s.addTime(short(d), c.name, halfFail, survived[p.Pods/2])
	s.addTime(short(d), c.name, allFail, survived[p.Pods-1])
	percent := make([]float64, 240) // of 12 hours
	for i := range percent {
		dead, _ := slices.BinarySearch(survived, time.Duration(i)*12*time.Hour/240)
		percent[i] = 100 * float64(p.Pods-dead) / float64(p.Pods)
	}
	s.draw(series{surviving, c.name + " for " + short(d), 0, 12.0 / 240, percent})
}

// TestController simulates a controller that reconciles for many tenants. Each tenant has a role chain
// of three, which differs in the last role.
func TestController(t *testing.T) {
	simulate(t, func(p plan, s *sheet) {
		for _, way := range []struct {
			name string
			get  func(*testing.T, *world) func(tenant string) aws.CredentialsProvider
		}{{ours, reconcileWithPool}, {kept, reconcileWithSDK(true)}, {eachTime, reconcileWithSDK(false)}} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, p.Controller.Lifetime, p.Controller.Latency)
				p.Controller.simulate(t, s, way.name, w, way.get(t, w))
			})
		}
		assert.Less(t, s.find("", ours, stsCalls).median(), s.find("", eachTime, stsCalls).median())
		assert.Zero(t, s.find("", ours, failures).median())
	})
}

func (p controllerPlan) simulate(t *testing.T, s *sheet, name string, w *world, get func(string) aws.CredentialsProvider) {
	near := w.Role("near", irsatest.Trust(w.role))
	w.place.RoleARNs = []string{near.ARN()}
	time.AfterFunc(p.From, w.STS.Down)
	time.AfterFunc(p.From+p.Outage, w.STS.Up)
	total := w.run(p.Tenants, 0, p.Every, time.Now().Add(p.Run), func(i int) aws.CredentialsProvider {
		tenant := w.Role(fmt.Sprint("tenant-", i), irsatest.Trust(near)).ARN()
		return aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) { return get(tenant).Retrieve(ctx) })
	})
	total.report(s, "", name)
	s.addCount("", name, stsCalls, w.STS.CallCount())
}

func reconcileWithPool(t *testing.T, w *world) func(string) aws.CredentialsProvider {
	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) {
		o.RoleARN, o.Region, o.TokenFile, o.HTTPClient = w.place.RoleARN, region, w.place.TokenFile, w.client
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = pool.Close() })
	return func(tenant string) aws.CredentialsProvider {
		p, err := pool.Provider(irsa.RoleOptions{Chain: []irsa.ChainedRole{{RoleARN: w.place.RoleARNs[0]}, {RoleARN: tenant}}})
		require.NoError(t, err)
		return p
	}
}

// reconcileWithSDK returns the SDK's provider of a chain, and keeps that of the first role. It creates the
// others once, or each time.
func reconcileWithSDK(once bool) func(*testing.T, *world) func(string) aws.CredentialsProvider {
	return func(t *testing.T, w *world) func(string) aws.CredentialsProvider {
		first := w.provider(t, asConfig)
		var mu sync.Mutex
		all := map[string]aws.CredentialsProvider{}
		assume := func(source aws.CredentialsProvider, arn string) aws.CredentialsProvider {
			mu.Lock()
			defer mu.Unlock()
			if all[arn] == nil || !once {
				client := sts.New(sts.Options{Region: region, Credentials: source, HTTPClient: w.client})
				all[arn] = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, arn,
					func(o *stscreds.AssumeRoleOptions) { o.Duration = time.Hour }))
			}
			return all[arn]
		}
		return func(tenant string) aws.CredentialsProvider { return assume(assume(first, w.place.RoleARNs[0]), tenant) }
	}
}
