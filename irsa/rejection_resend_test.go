package irsa_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
)

func TestRejectionOfInvalidKeyStartsOneExchangeAndRetries(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "InvalidClientTokenIdException", "UnrecognizedClientException", "InvalidAccessKeyId", "TokenRefreshRequired", "\n  ExpiredToken\n", "com.amazon.coral.service#ExpiredTokenException"} {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, p := providers["New"](t)
				dead := retrieve(t, p).AccessKeyID
				k.STS.SetLatency(time.Second)
				s := &service{judge: func(key string) string {
					if key == dead {
						return code
					}
					return ""
				}}
				client := s.client(p.AWSConfig(), "service.example")
				requireCode(t, identify(t.Context(), client), code)
				assert.Equal(t, 1, k.STS.CallCount(), "the key is too young")

				time.Sleep(time.Minute)
				start := time.Now()
				var callers sync.WaitGroup
				for range 100 {
					callers.Go(func() { assert.NoError(t, identify(t.Context(), client)) })
				}
				callers.Wait()
				assert.Equal(t, time.Second, time.Since(start), "all requests wait for one exchange")
				assert.Equal(t, 2, k.STS.CallCount())
				assert.Len(t, s.keys, 1+200)
			})
		})
	}
}

// Clients released between November 2023 and November 2024 resolve the endpoint and obtain the
// credentials once, outside of their retries.
func TestRejectionRetriesWithNewKeyInOlderClient(t *testing.T) {
	olderClient := func(stack *middleware.Stack) error {
		for _, id := range []string{"Retry", "RetryMetricsHeader"} {
			if m, err := stack.Finalize.Remove(id); err == nil { // newer clients have no RetryMetricsHeader
				if err := stack.Finalize.Insert(m, "Signing", middleware.Before); err != nil {
					return err
				}
			}
		}
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		_, p := providers["New"](t)
		dead := retrieve(t, p).AccessKeyID
		time.Sleep(time.Minute)
		s := &service{judge: func(key string) string {
			if key == dead {
				return "ExpiredToken"
			}
			return ""
		}}
		var paths []string
		cfg := aws.Config{Region: "us-west-2", APIOptions: []func(*middleware.Stack) error{olderClient}}
		p.Configure(&cfg)
		client := sts.NewFromConfig(cfg, func(o *sts.Options) {
			o.BaseEndpoint, o.Retryer = aws.String("https://service.example/path"), aws.NopRetryer{}
			o.HTTPClient = doer(func(r *http.Request) (*http.Response, error) {
				paths = append(paths, r.URL.Path)
				return s.Do(r)
			})
		})
		require.NoError(t, identify(t.Context(), client))
		assert.Equal(t, []string{dead, retrieve(t, p).AccessKeyID}, s.keys)
		assert.Equal(t, []string{"/path", "/path"}, paths)
	})
}

// The application withdraws the credentials of a request in flight.
func TestRejectionOfWithdrawnKeyReturnsBothErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, p := providers["New"](t)
		creds := retrieve(t, p)
		s := &service{judge: func(string) string {
			k.STS.Down()
			p.Invalidate(creds)
			return "ExpiredToken"
		}}
		err := identify(t.Context(), s.client(p.AWSConfig(), "service.example"))
		requireCode(t, err, "ExpiredToken")
		require.ErrorIs(t, err, irsa.ErrUnavailable)
		assert.Len(t, s.keys, 1)
	})
}

// A request whose context ends while the service responds cannot be sent again.
func TestRejectionAtEndOfContextReturnsServiceError(t *testing.T) {
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, p := providers["New"](t)
				retrieve(t, p)
				time.Sleep(time.Minute)
				ctx, cancel := context.WithCancel(t.Context())
				s := &service{judge: func(string) string {
					cancel()
					return "ExpiredToken"
				}}
				requireCode(t, identify(ctx, s.client(config(p), "service.example")), "ExpiredToken")
				assert.Len(t, s.keys, 1)
				synctest.Wait()
				assert.Equal(t, 2, k.STS.CallCount(), "later requests get new credentials")
			})
		})
	}
}

func TestRejectionWithoutSignedRequestInResponse(t *testing.T) {
	for name, requestOf := range map[string]func(sent *http.Request) *http.Request{
		"none":  func(*http.Request) *http.Request { return nil },
		"empty": func(*http.Request) *http.Request { return &http.Request{} },
		"a copy for a log": func(sent *http.Request) *http.Request {
			redacted := sent.Clone(sent.Context())
			redacted.Header.Set("Authorization", "redacted")
			return redacted
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, p := providers["New"](t)
				dead := retrieve(t, p).AccessKeyID
				s := &service{judge: func(key string) string {
					if key == dead {
						return "ExpiredToken"
					}
					return ""
				}}
				time.Sleep(time.Minute)
				client := sts.NewFromConfig(p.AWSConfig(), func(o *sts.Options) {
					o.HTTPClient = doer(func(r *http.Request) (*http.Response, error) {
						response, err := s.Do(r)
						response.Request = requestOf(r)
						return response, err
					})
				})
				require.NoError(t, identify(t.Context(), client))
				assert.Equal(t, 2, k.STS.CallCount())
				assert.Len(t, s.keys, 2)
			})
		})
	}
}

// A request that was signed before a refresh is retried immediately with the newer credentials.
func TestRejectionOfOlderKeyRetriesWithNewerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, p := providers["New"](t)
		old := retrieve(t, p).AccessKeyID
		s := &service{judge: func(key string) string {
			if key != old {
				return ""
			}
			assert.NoError(t, p.Refresh(context.Background())) // while the request is in flight
			return "ExpiredToken"
		}}
		time.Sleep(2 * time.Second)
		require.NoError(t, identify(t.Context(), s.client(p.AWSConfig(), "service.example")))
		assert.Len(t, s.keys, 2)
		assert.Equal(t, 2, k.STS.CallCount(), "no further exchange")
	})
}

// Requests that were signed with the same key can be rejected at different times, even after the host
// has rejected the next key.
func TestRejectionOfOlderKeyCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		k, pod := newPod(t)
		p := newProvider(t, pod.Options, func(o *irsa.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		old := retrieve(t, p).AccessKeyID
		slow := make(chan time.Duration, 10)
		for i := range cap(slow) {
			slow <- time.Duration(i+1) * time.Second
		}
		s := &service{judge: func(key string) string {
			if key == old {
				time.Sleep(<-slow)
			}
			return "ExpiredToken"
		}}
		client := s.client(p.AWSConfig(), "bad.example")
		time.Sleep(time.Minute)
		var requests sync.WaitGroup
		for range cap(slow) {
			requests.Go(func() { requireCode(t, identify(t.Context(), client), "ExpiredToken") })
		}
		requests.Wait()
		synctest.Wait()
		assert.Equal(t, 2, strings.Count(log.String(), "\n"), "one line for each key: %s", log.String())
		assert.Equal(t, 2, k.STS.CallCount())
		time.Sleep(2 * time.Minute)
		requireCode(t, identify(t.Context(), client), "ExpiredToken")
		assert.Equal(t, 3, k.STS.CallCount(), "the second key is replaced after twice the minimum age")
	})
}
