package irsa_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// threeAccounts returns roles in three accounts, each of which can assume the next.
func threeAccounts(t *testing.T) (*irsatest.Cluster, *irsatest.Pod, []*irsatest.Role) {
	t.Helper()
	k := newCluster(t)
	sa := k.ServiceAccount("shop", "cart")
	first := k.Role("first", irsatest.Trust(sa), irsatest.MaxSessionDuration(12*time.Hour))
	second := k.Role("second", irsatest.InAccount("444455556666"), irsatest.Trust(first))
	third := k.Role("third", irsatest.InAccount("777788889999"), irsatest.Trust(second))
	return k, k.Pod(sa, first, autoRotated), []*irsatest.Role{first, second, third}
}

func autoRotated(o *irsatest.PodOptions) { o.AutoRotate, o.TokenLifetime = true, time.Hour }

// chained returns the Providers of the roles, each derived from its predecessor.
func chained(t *testing.T, first *irsa.Provider, roles []*irsatest.Role) []*irsa.Provider {
	t.Helper()
	out := []*irsa.Provider{first}
	for _, role := range roles[1:] {
		next, err := out[len(out)-1].AssumeRole(role.ARN())
		require.NoError(t, err)
		out = append(out, next)
	}
	return out
}

func TestChainSurvivesOutagesAndRotations(t *testing.T) {
	t.Parallel()
	hours := testsize.Choose(1, 6, 12)
	for _, outage := range outages {
		t.Run(outage.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod, roles := threeAccounts(t)
				k.STS.SetLatency(300 * time.Millisecond)
				chain := chained(t, newProvider(t, pod.Options), roles)
				for _, p := range chain {
					retrieve(t, p)
				}
				keys := make([]map[string]bool, len(chain))
				for i := range keys {
					keys[i] = map[string]bool{}
				}
				for second := range hours * 60 * 60 {
					switch second % 3600 {
					case 30 * 60:
						outage.begin(k.STS)
					case 35 * 60:
						k.STS.Recover()
					}
					for i, p := range chain {
						start := time.Now()
						creds, err := p.Retrieve(t.Context())
						require.NoError(t, err)
						require.Zero(t, time.Since(start), "a caller waited")
						require.True(t, creds.Expires.After(start))
						require.Equal(t, strings.Split(p.Status().RoleARN, ":")[4], creds.AccountID)
						keys[i][creds.AccessKeyID] = true
					}
					time.Sleep(time.Second)
				}
				for i := range keys {
					assert.GreaterOrEqual(t, len(keys[i]), hours, "Provider %d is refreshed by itself", i)
				}
				signers := map[string]bool{}
				for _, call := range k.STS.Calls() {
					if call.RoleARN == roles[2].ARN() && call.Err == "" {
						assert.Contains(t, call.Caller, ":assumed-role/second/")
						signers[call.Caller] = true
						assert.LessOrEqual(t, call.Duration, time.Hour)
						assert.Equal(t, "shop.cart."+pod.Name(), call.SessionName, "CloudTrail names the pod for each role")
					}
				}
				assert.Len(t, signers, 1)
			})
		})
	}
}

func TestChainAcceptsSDKOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCluster(t)
		sa := k.ServiceAccount("shop", "cart")
		first := k.Role("first", irsatest.Trust(sa))
		policy := fmt.Sprintf(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": %q},
			"Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
			"Condition": {"StringEquals": {"sts:ExternalId": "12345", "aws:RequestTag/team": "blue", "sts:SourceIdentity": "alice"}}}}`, first.ARN())
		second := k.Role("second", irsatest.InAccount("444455556666"), irsatest.TrustPolicy(policy))
		p := newProvider(t, k.Pod(sa, first).Options)
		derived, err := p.AssumeRole(second.ARN(), func(o *stscreds.AssumeRoleOptions) {
			o.ExternalID, o.SourceIdentity, o.RoleSessionName = aws.String("12345"), aws.String("alice"), "nightly"
			o.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String("blue")}}
			o.Duration = 15 * time.Minute
		})
		require.NoError(t, err)
		creds := retrieve(t, derived)
		assert.Equal(t, "444455556666", creds.AccountID)
		assert.Equal(t, "nightly", derived.Status().SessionName)
		assert.InDelta(t, 15*time.Minute, time.Until(creds.Expires), float64(15*time.Second))
		assert.Equal(t, []aws.CredentialSource{aws.CredentialSourceSTSAssumeRoleWebID, aws.CredentialSourceSTSAssumeRole}, derived.ProviderSources())
		_, err = derived.MinTTL(14 * time.Minute).Retrieve(t.Context())
		require.ErrorIs(t, err, irsa.ErrInvalidRequest, "a lifetime of 15 minutes is too short")
		assert.Contains(t, fmt.Sprintf("%+v", err), "the lifetime of about 15m0s")
	})
}

func TestChainErrorNamesFailedRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod, roles := threeAccounts(t)
		chain := chained(t, newProvider(t, pod.Options), roles)
		roles[1].SetTrustPolicy(roles[2].TrustPolicy()) // trusts itself, not the first
		for _, p := range chain[1:] {
			_, err := p.Retrieve(t.Context())
			require.ErrorIs(t, err, irsa.ErrAccessDenied)
			var failure *irsa.Error
			require.ErrorAs(t, err, &failure)
			assert.Equal(t, roles[1].ARN(), failure.RoleARN, "the role that could not be assumed")
			assert.Equal(t, roles[0].ARN(), failure.Source)
			assert.Contains(t, failure.Advice, `{"Effect":"Allow","Principal":{"AWS":"`+roles[0].ARN()+`"},"Action":"sts:AssumeRole"}`)
			assert.Contains(t, failure.Link, "#role-chain")
		}
		_, first := chain[1].Retrieve(t.Context())
		_, last := chain[2].Retrieve(t.Context())
		assert.EqualError(t, last, first.Error(), "the text is that of the first cause")

		k.Role("second", irsatest.InAccount("444455556666"), irsatest.Trust(roles[0]))
		require.NoError(t, chain[2].WaitReady(t.Context()))

		pod.RemoveToken()
		broken := chained(t, newProvider(t, pod.Options), roles)
		_, err := broken[2].Retrieve(t.Context())
		require.ErrorIs(t, err, irsa.ErrTokenFile)
		assert.ErrorContains(t, err, "mount the IRSA token", "the advice is that of the first cause")
	})
}

func TestChainRecoversWithSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod, roles := threeAccounts(t)
		pod.Freeze()
		k.STS.SetClockSkew(2 * time.Hour) // the token has expired
		chain := chained(t, newProvider(t, pod.Options), roles)
		for range 60 {
			_, err := chain[2].Retrieve(t.Context())
			require.Error(t, err)
			time.Sleep(5 * time.Second)
		}
		k.STS.SetClockSkew(0)
		pod.Thaw()
		pod.Rotate()
		time.Sleep(5 * time.Second)
		retrieve(t, chain[2])
	})
}

func TestChainRetriesWithNewSourceKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod, roles := threeAccounts(t)
		chain := chained(t, newProvider(t, pod.Options), roles)
		retrieve(t, chain[0])
		time.Sleep(2 * time.Minute)             // younger keys are not replaced
		roles[1].Fail(irsatest.ExpiredToken, 1) // rejects the first role's credentials
		retrieve(t, chain[1])
		var requests []string
		for _, call := range k.STS.Calls() {
			requests = append(requests, call.Action+" "+call.Err)
		}
		assert.Equal(t, []string{"AssumeRoleWithWebIdentity ", "AssumeRole ExpiredToken", "AssumeRoleWithWebIdentity ", "AssumeRole "}, requests)
	})
}

func TestChainRejectsInvalidOptions(t *testing.T) {
	_, pod, roles := threeAccounts(t)
	p := newProvider(t, pod.Options)
	for want, change := range map[string]func(*stscreds.AssumeRoleOptions){
		"the maximum in a role chain":     func(o *stscreds.AssumeRoleOptions) { o.Duration = 2 * time.Hour },
		"is not between":                  func(o *stscreds.AssumeRoleOptions) { o.Duration = time.Minute },
		"the session name":                func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName = "a b" },
		"is not the ARN of an IAM role":   func(o *stscreds.AssumeRoleOptions) { o.RoleARN = "second" },
		"the client is not set":           func(o *stscreds.AssumeRoleOptions) { o.Client = nil },
		"the client is a nil *sts.Client": func(o *stscreds.AssumeRoleOptions) { o.Client = (*sts.Client)(nil) },
		"have 3000 characters":            func(o *stscreds.AssumeRoleOptions) { o.Policy = aws.String(strings.Repeat(" ", 3000)) },
	} {
		_, err := p.AssumeRole(roles[1].ARN(), change)
		require.ErrorIs(t, err, irsa.ErrNotConfigured)
		assert.ErrorContains(t, err, want)
	}
	mocked := newProvider(t, func(o *irsa.Options) {
		o.RoleARN, o.Token, o.STS = roles[0].ARN(), kubernetesToken{}, mockSTS{}
	})
	_, err := mocked.AssumeRole(roles[1].ARN())
	require.ErrorContains(t, err, "does not support AssumeRole")
	_, err = mocked.AssumeRole(roles[1].ARN(), func(o *stscreds.AssumeRoleOptions) { o.Client = failingClient(nil) })
	require.NoError(t, err, "it uses another client")
}

func TestChainClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod, roles := threeAccounts(t)
		first := newProvider(t, pod.Options)
		chain := chained(t, first, roles)
		retrieve(t, chain[2])
		require.NoError(t, chain[2].Close())
		_, err := chain[2].Retrieve(t.Context())
		require.ErrorIs(t, err, irsa.ErrClosed)
		retrieve(t, chain[1])
		require.NoError(t, first.Close())
		_, err = chain[1].Retrieve(t.Context())
		require.ErrorIs(t, err, irsa.ErrClosed)
	})
}

func TestPoolChainUsesOneSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod, roles := threeAccounts(t)
		k.STS.SetLatency(time.Second)
		p := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxCalls = 1 })
		chain := chained(t, pooled(t, p, irsa.RoleOptions{RoleARN: roles[0].ARN()}), roles)
		start := time.Now()
		retrieve(t, chain[2])
		assert.Equal(t, 3*time.Second, time.Since(start), "one after the other, without a deadlock")
	})
}

func TestPoolCloseEndsChainOfEvictedRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod, roles := threeAccounts(t)
		p := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxRoles = 3 })
		chain := chained(t, pooled(t, p, irsa.RoleOptions{RoleARN: roles[0].ARN()}), roles)
		retrieve(t, chain[2])
		for _, other := range rolesOf(k, k.ServiceAccount("shop", "cart"), 3) {
			retrieve(t, pooled(t, p, other))
		}
		require.NoError(t, p.Close())
		calls := k.STS.CallCount()
		retrieve(t, chain[2]) // from the cache
		require.ErrorIs(t, chain[2].Refresh(t.Context()), irsa.ErrClosed)
		time.Sleep(2 * time.Hour)
		_, err := chain[2].Retrieve(t.Context())
		require.ErrorIs(t, err, irsa.ErrClosed)
		assert.Equal(t, calls, k.STS.CallCount())
		require.NoError(t, chain[2].Close())
		require.NoError(t, chain[1].Close())
	})
}

func TestChainErrorRedactsRepeatedSecrets(t *testing.T) {
	k, pod, roles := threeAccounts(t)
	kept := &keeper{RoundTripper: k.HTTPClient().Transport}
	p := newProvider(t, pod.Options, func(o *irsa.Options) {
		o.HTTPClient = &http.Client{Transport: &echo{RoundTripper: kept, action: "AssumeRole&"}}
	})
	derived, err := p.AssumeRole(roles[1].ARN())
	require.NoError(t, err)
	err = derived.Refresh(t.Context())
	require.ErrorContains(t, err, "you sent")
	out := &output{}
	out.print(err)
	out.print(derived)
	require.NotEmpty(t, kept.secrets())
	requireSilent(t, out, kept.secrets()...)
}
