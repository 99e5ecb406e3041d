package irsa_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// These tests verify the table in the README. They compare the SDK's provider with Provider on
// the same STS.

// newSDKProvider returns the SDK's provider in an aws.CredentialsCache, configured like the SDK's
// config package does, or with options.
func newSDKProvider(k *irsatest.Cluster, pod *irsatest.Pod, optFns ...func(*aws.CredentialsCacheOptions)) *aws.CredentialsCache {
	client := sts.New(sts.Options{Region: pod.Region(), HTTPClient: k.HTTPClient(), Credentials: aws.AnonymousCredentials{}})
	return aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(client, pod.RoleARN(), stscreds.IdentityTokenFile(pod.TokenFile())), optFns...)
}

func TestSDKCallersWaitAtEachRefresh(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		make  func(*testing.T, *irsatest.Cluster, *irsatest.Pod) aws.CredentialsProvider
		waits bool
	}{
		{"irsakit", ours, false},
		{"the SDK", theirs, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				k.STS.SetLatency(300 * time.Millisecond)
				p := tt.make(t, k, pod)
				retrieve(t, p)
				waited := 0
				for range 10 * 60 * 60 {
					start := time.Now()
					retrieve(t, p)
					if time.Since(start) > 0 {
						assert.Equal(t, 300*time.Millisecond, time.Since(start))
						waited++
					}
					time.Sleep(time.Second)
				}
				if tt.waits {
					assert.InDelta(t, 10, waited, 1, "once an hour")
				} else {
					assert.Zero(t, waited)
				}
			})
		})
	}
}

func ours(t *testing.T, _ *irsatest.Cluster, pod *irsatest.Pod) aws.CredentialsProvider {
	return newProvider(t, pod.Options)
}

func theirs(_ *testing.T, k *irsatest.Cluster, pod *irsatest.Pod) aws.CredentialsProvider {
	return newSDKProvider(k, pod)
}

func TestSDKOutageReachesCallersWithValidCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		p := newProvider(t, pod.Options)
		theirs := newSDKProvider(k, pod, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = 5 * time.Minute })
		retrieve(t, p)
		retrieve(t, theirs)
		time.Sleep(30 * time.Minute)
		k.STS.Fail(irsatest.Unavailable, -1)
		time.Sleep(26 * time.Minute) // four minutes are left
		_, err := theirs.Retrieve(t.Context())
		require.Error(t, err)
		retrieve(t, p)
	})
}

func TestSDKFailingCallersMakeCalls(t *testing.T) {
	t.Parallel()
	callers := testsize.Choose(120, 600, 600)
	calls := func(t *testing.T, build func(*testing.T, *irsatest.Cluster, *irsatest.Pod) aws.CredentialsProvider) (n int) {
		synctest.Test(t, func(t *testing.T) {
			k, pod := newPod(t)
			k.STS.Fail(irsatest.AccessDenied, -1)
			p := build(t, k, pod)
			for range callers { // in a minute
				_, err := p.Retrieve(t.Context())
				require.Error(t, err)
				time.Sleep(time.Minute / time.Duration(callers))
			}
			n = k.STS.CallCount()
		})
		return n
	}
	assert.LessOrEqual(t, calls(t, ours), 8)
	assert.Equal(t, callers, calls(t, theirs), "one for each failing caller")
}

func TestSDKHungSTSBlocksCallers(t *testing.T) {
	longest := func(t *testing.T, build func(*testing.T, *irsatest.Cluster, *irsatest.Pod) aws.CredentialsProvider) (d time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			k, pod := newPod(t)
			p := build(t, k, pod)
			retrieve(t, p)
			time.Sleep(30 * time.Minute)
			k.STS.Fail(irsatest.Hang, 1) // one connection hangs for an hour
			time.AfterFunc(time.Hour, k.STS.Recover)
			for range 60 * 60 {
				start := time.Now()
				_, err := p.Retrieve(t.Context())
				require.NoError(t, err)
				d = max(d, time.Since(start))
				time.Sleep(time.Second)
			}
		})
		return d
	}
	assert.Zero(t, longest(t, ours))
	assert.Greater(t, longest(t, theirs), 25*time.Minute, "until the connection ends")
}

func TestSDKProvidersRefreshTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		providers, step := testsize.Choose(25, 100, 100), time.Second
		k, pod := newPod(t)
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for range providers {
			p := newSDKProvider(k, pod)
			wg.Go(func() {
				for ctx.Err() == nil {
					retrieve(t, p)
					time.Sleep(step)
				}
			})
		}
		time.Sleep(90 * time.Minute)
		cancel()
		wg.Wait()
		refreshes := k.STS.Calls()[providers:]
		require.Len(t, refreshes, providers)
		assert.LessOrEqual(t, refreshes[providers-1].Time.Sub(refreshes[0].Time), time.Second, "the Providers spread over twelve minutes")
	})
}

func TestSDKErrorOmitsSubjectAndAudience(t *testing.T) {
	k := newCluster(t)
	pod := k.Pod(k.ServiceAccount("shop", "cart"), k.Role("s3-writer"))
	_, err := newSDKProvider(k, pod).Retrieve(t.Context())
	require.ErrorContains(t, err, "AccessDenied")
	assert.NotContains(t, err.Error(), "system:serviceaccount")
	_, err = newProvider(t, pod.Options).Retrieve(t.Context())
	require.ErrorContains(t, err, "AccessDenied")
	assert.Contains(t, fmt.Sprintf("%+v", err), "system:serviceaccount:shop:cart")
	assert.Contains(t, fmt.Sprintf("%+v", err), "sts.amazonaws.com")
}
