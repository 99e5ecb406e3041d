package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// A world is a cluster in memory with a pod. Its time is simulated.
type world struct {
	*irsatest.Cluster
	sa     *irsatest.ServiceAccount
	role   *irsatest.Role
	pod    *irsatest.Pod
	place  place
	memory http.RoundTripper
	before atomic.Pointer[func()] // runs once, before the next call of STS continues
}

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
	w := &world{Cluster: k, sa: k.ServiceAccount("shop", "cart"), memory: k.HTTPClient().Transport}
	w.role = k.Role("s3-writer", irsatest.Trust(w.sa), irsatest.MaxSessionDuration(12*time.Hour))
	w.pod = k.Pod(w.sa, w.role, func(o *irsatest.PodOptions) { o.AutoRotate = true })
	w.place = place{Lifetime: lifetime, TokenFile: w.pod.TokenFile(), RoleARN: w.role.ARN()}
	return w
}

// provider returns a provider of the contender.
func (w *world) provider(t *testing.T, c contender) aws.CredentialsProvider {
	provider := c.open(t, w.place, w)
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

func (w *world) providers(t *testing.T, c contender, n int) []aws.CredentialsProvider {
	all := make([]aws.CredentialsProvider, n)
	for i := range all {
		all[i] = w.provider(t, c)
	}
	return all
}

// callUntil is like call until the end, with callers that start at random times within the time of starting.
func callUntil(end time.Time, providers []aws.CredentialsProvider, starting, every time.Duration) tally {
	return summarize(call(providers, func(int) time.Duration { return rand.N(starting + 1) }, every, end.Before))
}

// A timeline contains the times of the calls to STS.
type timeline []time.Time

func (w *world) calls() (all timeline) {
	for _, c := range w.STS.Calls() {
		all = append(all, c.Time)
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// from returns the calls that are not before the time.
func (all timeline) from(begin time.Time) timeline {
	i, _ := slices.BinarySearchFunc(all, begin, time.Time.Compare)
	return all[i:]
}

// perInterval counts the calls in each of n intervals. They need not be in order.
func (all timeline) perInterval(begin time.Time, interval time.Duration, n int) []float64 {
	counts := make([]float64, n)
	for _, t := range all {
		if d := t.Sub(begin); d >= 0 && int(d/interval) < n {
			counts[d/interval]++
		}
	}
	return counts
}

// peak returns the maximum number of calls within any window.
func (all timeline) peak(window time.Duration) int {
	most, from := 0, 0
	for i, call := range all {
		for call.Sub(all[from]) >= window {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

// herdPlan configures the simulation of pods that start at the same instant.
type herdPlan struct {
	Pods, Lifetimes          int
	Lifetime, Latency, Every time.Duration
	Short, Outage            time.Duration // the lifetime and the duration of an outage that outlasts it
}

// survivalPlan configures the simulation of an outage that outlasts all credentials.
type survivalPlan struct {
	Pods      int
	Durations []time.Duration
	Latency   time.Duration
}

const (
	later     = "peak from the first refresh on"
	lastPeak  = "peak in the last lifetime"
	afterward = "peak in a second after an outage"
	herding   = "herd" // a chart

	noneFails = "no pod fails for"
	surviving = "survival" // a chart
)

var pods = []contender{irsakit, asConfig, withWindow}

// run simulates pods that start at the same instant, and pods that recover from a common outage.
func (p herdPlan) run(t *testing.T, s *sheet) {
	for _, c := range pods {
		synctest.Test(t, func(t *testing.T) { p.start(t, s, c) })
		synctest.Test(t, func(t *testing.T) { p.recoverTogether(t, s, c) })
	}
}

func (p herdPlan) start(t *testing.T, s *sheet, c contender) {
	w := newWorld(t, p.Lifetime, p.Latency)
	first := time.Now()
	total := callUntil(first.Add(time.Duration(p.Lifetimes)*p.Lifetime), w.providers(t, c, p.Pods), 0, p.Every)
	calls, window := w.calls(), p.Lifetime/100
	refreshes := calls.from(first.Add(p.Lifetime / 2))
	s.addCount("", c.name, "peak at the start", calls[:len(calls)-len(refreshes)].peak(window))
	s.addCount("", c.name, later, refreshes.peak(window))
	s.addCount("", c.name, lastPeak, calls.from(first.Add(time.Duration(p.Lifetimes-1)*p.Lifetime)).peak(window))
	s.addCount("", c.name, stsCalls, len(calls))
	s.addCount("", c.name, failures, total.failed)
	s.draw(series{herding, c.name, 0, 0.01, calls.perInterval(first, window, p.Lifetimes*100)})
}

// recoverTogether simulates an outage that outlasts the credentials of pods that started at random times.
func (p herdPlan) recoverTogether(t *testing.T, s *sheet, c contender) {
	w := newWorld(t, p.Short, p.Latency)
	outage := time.Now().Add(3 * p.Short)
	end := outage.Add(p.Outage)
	time.AfterFunc(time.Until(outage), w.STS.Down)
	time.AfterFunc(time.Until(end), w.STS.Up)
	callUntil(end.Add(10*time.Second), w.providers(t, c, p.Pods), p.Short, p.Every)
	s.addCount("", c.name, afterward, w.calls().from(end).peak(time.Second))
}

// run simulates pods during an outage that outlasts their credentials.
func (p survivalPlan) run(t *testing.T, s *sheet) {
	for _, d := range p.Durations {
		for _, c := range pods {
			synctest.Test(t, func(t *testing.T) { p.survive(t, s, c, d) })
		}
	}
}

// survive starts pods at random times and measures how long they have credentials in the outage.
func (p survivalPlan) survive(t *testing.T, s *sheet, c contender, d time.Duration) {
	w := newWorld(t, d, p.Latency)
	w.place.Duration = d
	outage := time.Now().Add(3 * d)
	survived := make([]time.Duration, p.Pods)
	var running sync.WaitGroup
	for i, provider := range w.providers(t, c, p.Pods) {
		running.Go(func() {
			time.Sleep(rand.N(d))
			for !callOnce(provider, time.Now()).failed {
				survived[i] = max(time.Since(outage), 0)
				time.Sleep(d / 400)
			}
		})
	}
	time.AfterFunc(time.Until(outage), w.STS.Down)
	running.Wait()
	slices.Sort(survived)
	s.addTime(short(d), c.name, noneFails, survived[0])
	s.addTime(short(d), c.name, "half of the pods fail after", survived[p.Pods/2])
	s.addTime(short(d), c.name, "all pods fail after", survived[p.Pods-1])
	percent := make([]float64, 240) // at 240 times within 12 hours
	for i := range percent {
		dead, _ := slices.BinarySearch(survived, time.Duration(i)*12*time.Hour/240)
		percent[i] = 100 * float64(p.Pods-dead) / float64(p.Pods)
	}
	s.draw(series{surviving, c.name + " for " + short(d), 0, 12.0 / 240, percent})
}
