package irsa_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// A host that rejects the Provider's keys and accepts other requests must not cause more exchanges.
func TestRejectionByHostThatAcceptsOtherRequests(t *testing.T) {
	for name, other := range map[string]aws.CredentialsProvider{
		"another key": credentials.NewStaticCredentialsProvider("AKIAOTHER", "secret", ""),
		"unsigned":    aws.AnonymousCredentials{},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, p := providers["New"](t)
				s := &service{judge: func(key string) string {
					if strings.HasPrefix(key, "ASIA") {
						return "ExpiredToken"
					}
					return ""
				}}
				cfg := p.AWSConfig()
				cfg.Credentials = other
				theirs, ours := s.client(cfg, "bad.example"), s.client(p.AWSConfig(), "bad.example")
				for range 60 {
					require.NoError(t, identify(t.Context(), theirs))
					requireCode(t, identify(t.Context(), ours), "ExpiredToken")
					time.Sleep(time.Minute)
				}
				assert.LessOrEqual(t, exchanges(k, p), 8)
			})
		})
	}
}

// A host that accepts the Provider's keys can still respond with a doubtful code for another reason.
func TestRejectionWithAmbiguousCodeByHostThatAcceptsKey(t *testing.T) {
	t.Parallel()
	for _, interval := range []time.Duration{time.Second, 90 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			k, p := providers["New"](t)
			good := accepting().client(p.AWSConfig(), "s3.example")
			doubtful := rejecting("InvalidToken").client(p.AWSConfig(), "s3.example")
			for start := time.Now(); time.Since(start) < time.Hour; time.Sleep(interval) {
				require.NoError(t, identify(t.Context(), good))
				requireCode(t, identify(t.Context(), doubtful), "InvalidToken")
			}
			assert.LessOrEqual(t, exchanges(k, p), 3)
		})
	}
}

func TestRejectionIsReportedAfterDoubtfulRejection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen recorder
		_, pod := newPod(t)
		p := newProvider(t, pod.Options, seen.options)
		for _, code := range []string{"InvalidToken", "ExpiredToken", "InvalidToken", "ExpiredToken"} {
			requireCode(t, identify(t.Context(), rejecting(code).client(p.AWSConfig(), "s3.example")), code)
		}
		synctest.Wait()
		assert.Equal(t, 1, seen.count(irsa.EventRejected))
	})
}

// If the cache discards the credentials of an exchange, the Provider's newest key must not change.
func TestRejectionAfterDiscardedCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, p := providers["New"](t)
		first := retrieve(t, p)
		k.STS.SetLifetime(15 * time.Minute)
		for range 3 {
			time.Sleep(2 * time.Second)
			require.NoError(t, p.Refresh(t.Context()))
		}
		require.Equal(t, first.AccessKeyID, retrieve(t, p).AccessKeyID)
		time.Sleep(5 * time.Minute)
		s := &service{judge: func(key string) string {
			if key == first.AccessKeyID {
				return "ExpiredToken"
			}
			return ""
		}}
		assert.NoError(t, identify(t.Context(), s.client(p.AWSConfig(), "service.example")))
	})
}

// If STS occasionally rejects a source's key and then accepts the next key, the minimum age must not
// double.
func TestChainReplacesSourceKeyAfterAcceptance(t *testing.T) {
	for name, denied := range map[string]bool{"success": false, "access denied": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newCluster(t)
				sa := k.ServiceAccount("shop", "cart")
				near := k.Role("near", irsatest.Trust(sa))
				far := k.Role("far", irsatest.Trust(near))
				if denied {
					far = k.Role("stranger", irsatest.Trust(sa))
				}
				p := newProvider(t, k.Pod(sa, near).Options)
				next, err := p.AssumeRole(far.ARN())
				require.NoError(t, err)
				for range 5 {
					rejected := retrieve(t, p)
					time.Sleep(2 * time.Minute)
					far.Fail(irsatest.ExpiredToken, 1)
					err := next.Refresh(t.Context())
					if denied {
						require.ErrorIs(t, err, irsa.ErrAccessDenied)
					} else {
						require.NoError(t, err)
					}
					require.NotEqual(t, rejected, retrieve(t, p))
				}
			})
		})
	}
}

// The error of an exchange for the source Provider can have the code of a rejection. It must not be
// mistaken for a rejection of the source's key, which was not sent.
func TestChainDoesNotBlameSourceKeyForExpiredToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen recorder
		_, pod, roles := threeAccounts(t)
		chain := chained(t, newProvider(t, pod.Options, seen.options), roles)
		retrieve(t, chain[2])
		pod.Freeze() // the token expires
		for range 4 * 60 {
			time.Sleep(time.Minute)
			_, _ = chain[2].Retrieve(t.Context())
		}
		_, err := chain[2].Retrieve(t.Context())
		require.ErrorIs(t, err, irsa.ErrTokenExpired)
		assert.Zero(t, seen.count(irsa.EventRejected), seen.log())
	})
}
