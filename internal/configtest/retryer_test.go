package configtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// store is an S3 that refuses requests, as S3 does.
type store struct {
	refuse func(key string) string // the error code, "" for none

	mu   sync.Mutex
	keys []string // of the requests, in their order
	body []string
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(rest, "/")
	s.mu.Lock()
	s.keys, s.body = append(s.keys, key), append(s.body, string(body))
	s.mu.Unlock()
	if code := s.refuse(key); code != "" {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>The provided token has expired.</Message><RequestId>1</RequestId></Error>`, code)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// shop is a pod with a provider, and an S3 client that uses it in one of two ways.
type shop struct {
	*irsatest.Cluster
	provider *irsa.Provider
	store    *store
	client   *s3.Client
}

// clients are the ways in which the retries come into a client.
var clients = map[string]func(*irsa.Provider) aws.Config{
	"AWSConfig": (*irsa.Provider).AWSConfig,
	"Retryer": func(p *irsa.Provider) aws.Config {
		fast := func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxBackoff, o.RateLimiter = 10*time.Millisecond, ratelimit.None // which are base's to decide
			})
		}
		return aws.Config{Region: "us-west-2", Credentials: p, Retryer: p.Retryer(fast)}
	},
}

func newShop(t *testing.T, config func(*irsa.Provider) aws.Config, refuse func(key string) string) *shop {
	t.Helper()
	k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback = true })
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	p, err := irsa.New(pod.Options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	s := &store{refuse: refuse}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	client := s3.NewFromConfig(config(p), func(o *s3.Options) {
		o.BaseEndpoint, o.UsePathStyle = aws.String(server.URL), true
	})
	return &shop{k, p, s, client}
}

func (s *shop) put(ctx context.Context) error {
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("receipts"), Key: aws.String("1"), Body: strings.NewReader("thank you")})
	return err
}

func TestAServiceThatCallsTheKeysExpiredGetsNewOnesOnce(t *testing.T) {
	for name, config := range clients {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			first := ""
			s := newShop(t, config, func(key string) string {
				mu.Lock()
				defer mu.Unlock()
				if first == "" {
					first = key
				}
				if key == first {
					return "ExpiredToken"
				}
				return ""
			})
			require.NoError(t, s.put(t.Context()))
			require.Len(t, s.store.keys, 2)
			assert.NotEqual(t, s.store.keys[0], s.store.keys[1])
			assert.Equal(t, s.store.body[0], s.store.body[1], "the body too")
			assert.Contains(t, s.store.body[1], "thank you")
			assert.Equal(t, 2, s.STS.CallCount())
		})
	}
}

func TestAHundredRefusalsAtOnceAreOneCallOfSTS(t *testing.T) {
	for name, config := range clients {
		t.Run(name, func(t *testing.T) {
			var together sync.WaitGroup
			together.Add(100)
			var mu sync.Mutex
			first, seen := "", 0
			s := newShop(t, config, func(key string) string {
				mu.Lock()
				if first == "" {
					first = key
				}
				refused := key == first && seen < 100
				if refused {
					seen++
				}
				mu.Unlock()
				if !refused {
					return ""
				}
				together.Done()
				together.Wait() // until all have come
				return "ExpiredToken"
			})
			var puts sync.WaitGroup
			for range 100 {
				puts.Go(func() { assert.NoError(t, s.put(t.Context())) })
			}
			puts.Wait()
			assert.Len(t, s.store.keys, 200)
			assert.Equal(t, 2, s.STS.CallCount(), "the first credentials, and one exchange for all refusals")
		})
	}
}

func TestAServiceThatAlwaysRefusesIsAskedAFewTimesAndSTSOnceAMinute(t *testing.T) {
	for name, config := range clients {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, config, func(string) string { return "ExpiredToken" })
			begin := time.Now()
			for i := range 1000 {
				err := s.put(t.Context())
				var api smithy.APIError
				require.True(t, errors.Is(err, irsa.ErrRefused) || errors.As(err, &api) && api.ErrorCode() == "ExpiredToken", err)
				assert.LessOrEqual(t, len(s.store.keys), 3*(i+1))
			}
			minutes := int(time.Since(begin)/time.Minute) + 1
			assert.LessOrEqual(t, s.STS.CallCount(), 1+minutes, "the first credentials, and one exchange a minute")
		})
	}
}

func TestOtherRefusalsStartAnExchangeAndKeepTheBasesVerdict(t *testing.T) {
	for name, config := range clients {
		for _, code := range []string{"InvalidClientTokenId", "UnrecognizedClientException"} {
			t.Run(name+" "+code, func(t *testing.T) {
				s := newShop(t, config, func(string) string { return code })
				for range 100 {
					var api smithy.APIError
					require.ErrorAs(t, s.put(t.Context()), &api)
					assert.Equal(t, code, api.ErrorCode())
				}
				assert.Len(t, s.store.keys, 100, "base does not try these again")
				assert.Eventually(t, func() bool { return s.STS.CallCount() == 2 }, 10*time.Second, 10*time.Millisecond)
			})
		}
	}
}

func TestOtherCredentialsAndOtherErrorsAreNoneOfItsBusiness(t *testing.T) {
	for name, config := range clients {
		t.Run(name, func(t *testing.T) {
			code := "ExpiredToken"
			s := newShop(t, config, func(string) string { return code })
			_, err := s.provider.Retrieve(t.Context())
			require.NoError(t, err)
			_, err = s.client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("receipts"), Key: aws.String("1")}, func(o *s3.Options) {
				o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					return aws.Credentials{AccessKeyID: "AKIAOTHER", SecretAccessKey: "x"}, nil
				})
			})
			require.Error(t, err)
			code = "NoSuchKey"
			require.Error(t, s.put(t.Context()))
			assert.Len(t, s.store.keys, 2)
			assert.Equal(t, 1, s.STS.CallCount())
		})
	}
}

// base is a retryer of an application's own.
type base struct {
	aws.RetryerV2
	attempts int
}

func (b *base) MaxAttempts() int { return b.attempts }

func TestTheRetryerKeepsItsBase(t *testing.T) {
	s := newShop(t, (*irsa.Provider).AWSConfig, func(string) string { return "" })
	standard := retry.NewStandard()
	made := s.provider.Retryer(func() aws.Retryer { return &base{standard, 7} })()
	assert.Equal(t, 7, made.MaxAttempts())
	_, v2 := made.(aws.RetryerV2)
	assert.True(t, v2)
	assert.True(t, made.IsErrorRetryable(&smithy.GenericAPIError{Code: "Throttling"}))
	assert.False(t, made.IsErrorRetryable(&smithy.GenericAPIError{Code: "ExpiredToken"}), "of no request of the provider's")
	assert.Equal(t, 3, s.provider.Retryer(nil)().MaxAttempts())
}
