package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
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

// providers returns n providers of the contender.
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
