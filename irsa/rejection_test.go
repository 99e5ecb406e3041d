package irsa_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// A service that rejects every key must affect only its own callers.
func TestRejectionByOneServiceDoesNotAffectOthers(t *testing.T) {
	t.Parallel()
	for providerName, provider := range providers {
		for configName, config := range configs {
			intervals := []int{1, 10, 30, 60, 300, 900}
			if providerName != "New" || configName != "AWSConfig" {
				intervals = intervals[:testsize.Choose(1, 1, 2)]
			}
			for _, every := range intervals {
				t.Run(fmt.Sprintf("%s %s every %d s", providerName, configName, every), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						k, p := provider(t)
						bad := rejecting("ExpiredToken").client(config(p), "bad.example")
						good := accepting().client(config(p), "good.example")
						for second := range testsize.Choose(300, 3600, 3600) {
							require.NoError(t, identify(t.Context(), good))
							if second%every == 0 {
								requireCode(t, identify(t.Context(), bad), "ExpiredToken")
							}
							time.Sleep(time.Second)
						}
						assert.NoError(t, p.Healthy())
						assert.LessOrEqual(t, exchanges(k, p), 8)
					})
				})
			}
		}
	}
}

func TestRejectionDuringOutageKeepsCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, p := providers["New"](t)
		first := retrieve(t, p)
		time.Sleep(10 * time.Minute)
		k.STS.Down()
		bad := rejecting("ExpiredToken").client(p.AWSConfig(), "bad.example")
		err := identify(t.Context(), bad)
		requireCode(t, err, "ExpiredToken")
		require.ErrorIs(t, err, irsa.ErrUnavailable, "it wraps the failed exchange")
		require.ErrorIs(t, p.Healthy(), irsa.ErrUnavailable)
		require.Equal(t, cache.Stale, p.Status().State)
		for range 600 {
			start := time.Now()
			require.Equal(t, first, retrieve(t, p))
			require.Zero(t, time.Since(start))
			time.Sleep(time.Second)
		}
	})
}

func TestRejectionOfNewKeyEndsWithinOneMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := providers["New"](t)
		dead := retrieve(t, p).AccessKeyID
		s := &service{judge: func(key string) string {
			if key == dead {
				return "InvalidClientTokenId"
			}
			return ""
		}}
		client := s.client(p.AWSConfig(), "service.example")
		start := time.Now()
		for identify(t.Context(), client) != nil {
			time.Sleep(100 * time.Millisecond)
		}
		assert.LessOrEqual(t, time.Since(start), time.Minute)
	})
}

func TestRejectionWithAmbiguousCodeStartsOneBackgroundExchange(t *testing.T) {
	for _, code := range []string{"RequestExpired", "RequestExpiredException", "AuthFailure", "InvalidToken"} {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				k, pod := newPod(t)
				p := newProvider(t, pod.Options, func(o *irsa.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
				retrieve(t, p)
				k.STS.SetLatency(time.Second)
				time.Sleep(time.Minute)
				s := rejecting(code)
				start := time.Now()
				requireCode(t, identify(t.Context(), s.client(p.AWSConfig(), "service.example")), code)
				assert.Zero(t, time.Since(start), "it does not wait")
				assert.Len(t, s.keys, 1, "it is not sent again")
				time.Sleep(10 * time.Second)
				assert.Equal(t, 2, k.STS.CallCount())
				assert.Empty(t, log.String())
			})
		})
	}
}

func TestRejectionForAnotherReasonDoesNotStartExchange(t *testing.T) {
	for _, code := range []string{"AccessDenied", "SignatureDoesNotMatch", "NoSuchKey", "Throttling"} {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, p := providers["New"](t)
				retrieve(t, p)
				time.Sleep(10 * time.Minute)
				requireCode(t, identify(t.Context(), rejecting(code).client(p.AWSConfig(), "service.example")), code)
				time.Sleep(10 * time.Second)
				assert.Equal(t, 1, k.STS.CallCount())
			})
		})
	}
}

// The Provider must not replace credentials that it did not issue.
func TestRejectionOfOtherCredentialsIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, p := providers["New"](t)
		own := retrieve(t, p)
		time.Sleep(10 * time.Minute)
		cfg := p.AWSConfig()
		cfg.Credentials = credentials.NewStaticCredentialsProvider("AKIAOTHER", "secret", "")
		s := rejecting("ExpiredToken")
		require.Error(t, identify(t.Context(), s.client(cfg, "service.example")))
		time.Sleep(10 * time.Second)
		assert.Equal(t, 1, k.STS.CallCount())
		assert.Len(t, s.keys, 1)
		assert.Equal(t, own, retrieve(t, p))
	})
}

func TestRejectionWaitIsBoundedByAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, p := providers["New"](t)
		retrieve(t, p)
		time.Sleep(10 * time.Minute)
		k.STS.Fail(irsatest.Hang, -1)
		client := rejecting("ExpiredToken").client(p.AWSConfig(), "service.example")
		start := time.Now()
		requireCode(t, identify(context.Background(), client), "ExpiredToken")
		assert.LessOrEqual(t, time.Since(start), 10*time.Second)
		start = time.Now()
		requireCode(t, identify(context.Background(), client), "ExpiredToken")
		assert.LessOrEqual(t, time.Since(start), 10*time.Second)

		k.STS.Recover()
		time.Sleep(5 * time.Minute)
		k.STS.Fail(irsatest.Hang, -1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		require.Error(t, identify(ctx, client))
		assert.LessOrEqual(t, time.Since(start), time.Second)
	})
}

// If STS denies the exchange, the denial is reported immediately and callers keep valid credentials.
func TestRejectionReportsDeniedExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, p := providers["New"](t)
		first := retrieve(t, p)
		time.Sleep(10 * time.Minute)
		k.STS.Fail(irsatest.AccessDenied, -1)
		err := identify(t.Context(), rejecting("InvalidClientTokenId").client(p.AWSConfig(), "service.example"))
		requireCode(t, err, "InvalidClientTokenId")
		require.ErrorIs(t, err, irsa.ErrAccessDenied)
		assert.Equal(t, irsa.ErrAccessDenied, p.Status().Kind)
		assert.ErrorIs(t, p.Healthy(), irsa.ErrAccessDenied)
		assert.Equal(t, cache.Stale, p.Status().State)
		assert.Equal(t, first, retrieve(t, p))
	})
}

func TestRejectionIsLoggedOncePerHostAndKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var seen recorder
		_, pod := newPod(t)
		p := newProvider(t, pod.Options, seen.options, func(o *irsa.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		retrieve(t, p)
		time.Sleep(12 * time.Second)
		client := rejecting("ExpiredToken").client(p.AWSConfig(), "bad.example")
		for range 10 {
			require.Error(t, identify(t.Context(), client))
		}
		synctest.Wait()
		assert.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
		assert.Contains(t, log.String(), `level=WARN msg="credentials rejected by a service"`)
		assert.Contains(t, log.String(), "host=bad.example code=ExpiredToken received_ago=12s")
		assert.Equal(t, 1, seen.count(irsa.EventRejected))
	})
}

// STS can reject the source's credentials in a role chain, like any other service.
func TestChainReplacesRejectedSourceKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod, roles := threeAccounts(t)
		chain := chained(t, newProvider(t, pod.Options), roles[:2])
		p, next := chain[0], chain[1]
		first := retrieve(t, p)
		time.Sleep(2 * time.Minute)
		roles[1].Fail(irsatest.ExpiredToken, 1)
		require.NoError(t, next.Refresh(t.Context()))
		assert.NotEqual(t, first.AccessKeyID, retrieve(t, p).AccessKeyID)

		second := retrieve(t, p)
		roles[1].Fail(irsatest.ExpiredToken, -1)
		require.Error(t, next.Refresh(t.Context()))
		for range 55 { // the next exchange can start after a minute
			require.Equal(t, second, retrieve(t, p), "the source's other users keep its credentials")
			time.Sleep(time.Second)
		}
	})
}

func TestConfigureKeepsExistingOptions(t *testing.T) {
	_, p := providers["New"](t)
	cfg := aws.Config{Region: "eu-central-1", RetryMaxAttempts: 7}
	p.Configure(&cfg)
	assert.Same(t, p, cfg.Credentials)
	assert.Equal(t, "eu-central-1", cfg.Region)
	assert.Equal(t, 7, cfg.RetryMaxAttempts)
	assert.Len(t, cfg.APIOptions, 1)
}

// Copies of a configuration share the array of its options.
func TestConfigureAllowsAppendingToCopies(t *testing.T) {
	_, p := providers["New"](t)
	none := func(*middleware.Stack) error { return nil }
	cfg := aws.Config{APIOptions: []func(*middleware.Stack) error{none, none}}
	p.Configure(&cfg)
	first, second := cfg.Copy(), cfg.Copy()
	first.APIOptions = append(first.APIOptions, func(*middleware.Stack) error { return assert.AnError })
	second.APIOptions = append(second.APIOptions, none)
	assert.ErrorIs(t, first.APIOptions[3](nil), assert.AnError)
	assert.NoError(t, second.APIOptions[3](nil))
}

// A program copies a configuration to use another role, or sets the same one again.
func TestConfigureReplacesEarlierProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod, roles := threeAccounts(t)
		chain := chained(t, newProvider(t, pod.Options), roles[:2])
		p, next := chain[0], chain[1]

		cfg := p.AWSConfig()
		p.Configure(&cfg)
		other := cfg.Copy()
		next.Configure(&other)
		for p, cfg := range map[*irsa.Provider]aws.Config{p: cfg, next: other} {
			cfg.APIOptions = append(cfg.APIOptions, func(stack *middleware.Stack) error {
				ours := slices.DeleteFunc(stack.Finalize.List(), func(id string) bool { return !strings.HasPrefix(id, "irsakit:") })
				assert.Len(t, ours, 1)
				return nil
			})
			dead := retrieve(t, p).AccessKeyID
			time.Sleep(time.Minute)
			s := &service{judge: func(key string) string {
				if key == dead {
					return "ExpiredToken"
				}
				return ""
			}}
			require.NoError(t, identify(t.Context(), s.client(cfg, "service.example")))
			assert.Equal(t, []string{dead, retrieve(t, p).AccessKeyID}, s.keys)
		}
	})
}
