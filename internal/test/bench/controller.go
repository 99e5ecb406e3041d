package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// controllerPlan configures the simulation of a controller that reconciles for many tenants. Each tenant
// has a role chain of three, which differs in the last role.
type controllerPlan struct {
	Tenants                       int
	Every, Run, Lifetime, Latency time.Duration
	From, Outage                  time.Duration
}

const (
	eachTime = "SDK, new each time"
)

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
