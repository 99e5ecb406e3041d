package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// rolesPlan configures the measure of thousands of roles in one process.
type rolesPlan struct {
	Roles                  int
	Lifetime, Run, Latency time.Duration
}

const (
	heapPerRole = "heap per role"
	processor   = "processor time"
	perSTSCall  = "per STS call"
	firstLoad   = "first load"
	chains      = "irsakit, chains"
	roleCallers = 64
)

// maxCalls is the default of PoolOptions.MaxCalls, which also limits the connections of a Pool's default client.
const maxCalls = 32

// leastLoad returns the time that STS takes to answer a call for each role, with maxCalls at a time.
func (p rolesPlan) leastLoad() float64 { return float64(p.Roles) * float64(p.Latency) / maxCalls }

func (p rolesPlan) measure(tls bool, holders ...string) func(*testing.T, *sheet) {
	return func(t *testing.T, s *sheet) {
		at := startSTS(t, setup{Lifetime: p.Lifetime, Latency: p.Latency, Roles: p.Roles, TLS: tls})
		for _, holder := range holders {
			var result sheet
			startChild(t, task{Holder: holder, Place: at, Run: p.Run}, &result)
			s.addMedians(&result)
		}
	}
}

type opener func(arn string) (aws.CredentialsProvider, error)

// holders contains ways to hold the credentials of many roles. All chains begin with the same role.
var holders = map[string]func(place, *traffic) opener{
	ours:   holdPool(func(arn string) irsa.RoleOptions { return irsa.RoleOptions{RoleARN: arn} }),
	chains: holdPool(func(arn string) irsa.RoleOptions { return irsa.RoleOptions{Chain: []irsa.ChainedRole{{RoleARN: arn}}} }),
	sdk:    holdSDK,
}

// holdSDK creates the SDK's providers as its config package does, with a shared client.
func holdSDK(at place, t *traffic) opener {
	shared := sts.New(sts.Options{
		Region: region, BaseEndpoint: aws.String(at.Endpoint), Credentials: aws.AnonymousCredentials{}, HTTPClient: &http.Client{Transport: t},
	})
	return func(arn string) (aws.CredentialsProvider, error) {
		return aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(shared, arn, stscreds.IdentityTokenFile(at.TokenFile))), nil
	}
}

func holdPool(options func(arn string) irsa.RoleOptions) func(place, *traffic) opener {
	return func(at place, t *traffic) opener {
		t.MaxConnsPerHost, t.MaxIdleConnsPerHost = maxCalls, maxCalls
		pool, err := irsa.NewPool(func(o *irsa.PoolOptions) {
			o.RoleARN, o.Region, o.Endpoint, o.TokenFile = at.RoleARN, region, at.Endpoint, at.TokenFile
			o.HTTPClient = &http.Client{Transport: t}
		})
		return func(arn string) (aws.CredentialsProvider, error) {
			if err != nil {
				return nil, err
			}
			return pool.Provider(options(arn))
		}
	}
}

// hold loads all roles and calls their providers until each role has been refreshed.
func (t task) hold() (s sheet) {
	before, begin := heapInUse(), cpuTime()
	network := newTraffic()
	if t.Place.Certificate != nil {
		roots := x509.NewCertPool()
		roots.AddCert(result(x509.ParseCertificate(t.Place.Certificate)))
		network.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	open := holders[t.Holder](t.Place, network)
	providers := make([]aws.CredentialsProvider, len(t.Place.RoleARNs))
	for i, arn := range t.Place.RoleARNs {
		providers[i] = result(open(arn))
	}
	took := load(providers)
	loading := cpuTime() - begin
	s.addTime("", t.Holder, firstLoad, took)
	time.Sleep(time.Second) // until the resources of the first load have been released
	s.add("", t.Holder, heapPerRole, memory, max(float64(heapInUse())-float64(before), 0)/float64(len(providers)))
	s.addCount("", t.Holder, "goroutines", runtime.NumGoroutine())
	begin = cpuTime()
	total := callOften(providers, network, t.Run)
	used, calls := loading+cpuTime()-begin, network.calls.Load()
	s.addTime("", t.Holder, processor, used)
	s.addCount("", t.Holder, stsCalls, int(calls))
	s.addTime("", t.Holder, perSTSCall, used/time.Duration(calls))
	s.addCount("", t.Holder, "connections", int(network.connections.Load()))
	total.report(&s, "", t.Holder)
	runtime.KeepAlive(providers)
	return s
}

// load gets the first credentials of all roles at the same time. It retries after failures.
func load(providers []aws.CredentialsProvider) time.Duration {
	begin := time.Now()
	var callers sync.WaitGroup
	for _, provider := range providers {
		callers.Go(func() {
			for callOnce(provider, time.Now()).failed {
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
	callers.Wait()
	return time.Since(begin)
}

// callOften calls each provider once per second for the time of run, and until the number of STS calls
// has doubled. Each caller calls its share of the providers one after the other, and all calls of a
// second are due when the caller wakes up, or when it should have woken up if it was still calling.
func callOften(providers []aws.CredentialsProvider, t *traffic, run time.Duration) (total tally) {
	var done atomic.Bool
	var callers sync.WaitGroup
	begin, loads, results := time.Now(), t.calls.Load(), make([]tally, roleCallers)
	for i := range roleCallers {
		callers.Go(func() {
			for passed := time.Duration(i+1) * time.Second / roleCallers; !done.Load(); passed += time.Second {
				due := begin.Add(passed)
				if wait := time.Until(due); wait > 0 {
					time.Sleep(wait)
					due = time.Now() // a timer may be late regardless of the contender
				}
				for j := i; j < len(providers); j += roleCallers {
					results[i].add(callOnce(providers[j], due))
				}
			}
		})
	}
	time.Sleep(run)
	for t.calls.Load() < 2*loads {
		time.Sleep(100 * time.Millisecond)
	}
	done.Store(true)
	callers.Wait()
	for _, t := range results {
		total.count, total.slow, total.failed = total.count+t.count, total.slow+t.slow, total.failed+t.failed
		total.longest = max(total.longest, t.longest)
	}
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

// controllerPlan configures the simulation of a controller that reconciles for many tenants. Each tenant
// has a role chain of three, which differs in the last role.
type controllerPlan struct {
	Tenants                       int
	Every, Run, Lifetime, Latency time.Duration
	From, Outage                  time.Duration
}

const eachTime = "SDK, new each time"

func (p controllerPlan) run(t *testing.T, s *sheet) {
	for _, way := range []struct {
		name string
		open func(*testing.T, *world) opener
	}{{ours, reconcileWithPool}, {"SDK, kept", reconcileWithSDK(true)}, {eachTime, reconcileWithSDK(false)}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, p.Lifetime, p.Latency)
			near := w.Role("near", irsatest.Trust(w.role))
			w.place.RoleARNs = []string{near.ARN()}
			time.AfterFunc(p.From, w.STS.Down)
			time.AfterFunc(p.From+p.Outage, w.STS.Up)
			open, tenants := way.open(t, w), make([]aws.CredentialsProvider, p.Tenants)
			for i := range tenants {
				arn := w.Role(fmt.Sprint("tenant-", i), irsatest.Trust(near)).ARN()
				tenants[i] = aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
					provider, err := open(arn)
					if err != nil {
						return aws.Credentials{}, err
					}
					return provider.Retrieve(ctx)
				})
			}
			callUntil(time.Now().Add(p.Run), tenants, 0, p.Every).report(s, "", way.name)
			s.addCount("", way.name, stsCalls, w.STS.CallCount())
		})
	}
}

func reconcileWithPool(t *testing.T, w *world) opener {
	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) {
		o.RoleARN, o.Region, o.TokenFile, o.HTTPClient = w.place.RoleARN, region, w.place.TokenFile, &http.Client{Transport: w}
	})
	must(t, err)
	t.Cleanup(func() { _ = pool.Close() })
	return func(tenant string) (aws.CredentialsProvider, error) {
		return pool.Provider(irsa.RoleOptions{Chain: []irsa.ChainedRole{{RoleARN: w.place.RoleARNs[0]}, {RoleARN: tenant}}})
	}
}

// reconcileWithSDK returns the SDK's provider of a chain, and keeps that of the first role. It creates the
// others once, or each time.
func reconcileWithSDK(once bool) func(*testing.T, *world) opener {
	return func(t *testing.T, w *world) opener {
		first := w.provider(t, asConfig)
		var all sync.Map
		assume := func(source aws.CredentialsProvider, arn string) aws.CredentialsProvider {
			client := sts.New(sts.Options{Region: region, Credentials: source, HTTPClient: &http.Client{Transport: w}})
			var provider any = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, arn,
				func(o *stscreds.AssumeRoleOptions) { o.Duration = time.Hour }))
			if once {
				provider, _ = all.LoadOrStore(arn, provider)
			}
			return provider.(aws.CredentialsProvider)
		}
		return func(tenant string) (aws.CredentialsProvider, error) {
			return assume(assume(first, w.place.RoleARNs[0]), tenant), nil
		}
	}
}
