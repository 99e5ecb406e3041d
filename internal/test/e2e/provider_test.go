package e2e

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
)

// A rotator swaps new tokens of the API server into the volume of a pod.
type rotator struct {
	mu      sync.Mutex
	tokens  []string
	written atomic.Int64 // the number of tokens written
}

func (r *rotator) rotate(ctx context.Context, p *pod) error {
	token, err := p.request(ctx, tokenRequest(p.Pod).Spec)
	if err == nil {
		r.mu.Lock()
		r.tokens = append(r.tokens, token)
		r.mu.Unlock()
		err = writeToken(volumeDir(p.Pod), token)
		r.written.Add(1)
	}
	return err
}

// state returns the number of the latest token that is certainly in the file, and all tokens to the
// latest one that may be in the file.
func (r *rotator) state() (certain int64, tokens []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.written.Load() - 1, r.tokens
}

// The token is rotated every 200 ms for 30 s. Meanwhile, each of 8 Providers serves callers and S3 requests and
// makes exchanges. Each exchange must send a whole token that was in the file during the exchange.
func TestProviderSurvivesRotationEvery200Milliseconds(t *testing.T) {
	t.Parallel()
	p := newPod(t, withLifetime("600"))
	var rotator rotator
	require.NoError(t, rotator.rotate(t.Context(), p))
	load := newLoad(t)
	var exchanges, widest atomic.Int64
	for range 8 {
		g := newGateway(t)
		provider := p.provider(t, g.options, func(o *irsa.Options) {
			o.AttemptTimeout = 2 * time.Minute // enough on a busy machine
		})
		retrieve(t, provider) // so that Refresh causes all later exchanges
		require.Len(t, g.take(), 1)
		load.every(time.Millisecond, func() { retrieve(t, provider) })
		load.every(50*time.Millisecond, func() { put(t, s3Client(provider), p.Namespace) })
		// More than a second apart, so that each exchange starts as soon as Refresh is called.
		load.every(1100*time.Millisecond, func() {
			before, _ := rotator.state()
			assert.NoError(t, provider.Refresh(t.Context()))
			_, tokens := rotator.state()
			possible, sent := tokens[before:], g.take()
			if assert.Len(t, sent, 1) {
				assert.True(t, slices.Contains(possible, sent[0]), "the token is not one of the %d current ones", len(possible))
			}
			exchanges.Add(1)
			widest.Store(max(widest.Load(), int64(len(possible))))
		})
	}
	load.every(200*time.Millisecond, func() { assert.NoError(t, rotator.rotate(t.Context(), p)) })
	<-time.After(30 * time.Second)
	require.Eventually(t, func() bool {
		rotations, _ := rotator.state()
		return rotations > 100 && exchanges.Load() > 100
	}, 10*time.Minute, 100*time.Millisecond)
	load.stop()
	rotations, _ := rotator.state()
	t.Logf("%d rotations, %d exchanges, each with one of at most %d tokens", rotations, exchanges.Load(), widest.Load())
}

// put makes a request as an application does. The request must succeed.
func put(t *testing.T, client *s3.Client, key string) {
	_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader("thank you")})
	assert.NoError(t, err)
}

// A load calls functions repeatedly until it is stopped.
type load struct {
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newLoad(t *testing.T) *load {
	l := &load{}
	l.ctx, l.cancel = context.WithCancel(t.Context())
	t.Cleanup(l.stop)
	return l
}

// every calls do after each period.
func (l *load) every(period time.Duration, do func()) {
	l.running.Go(func() {
		_ = wait.PollUntilContextCancel(l.ctx, period, false, func(context.Context) (bool, error) {
			do()
			return false, nil
		})
	})
}

func (l *load) stop() {
	l.cancel()
	l.running.Wait()
}

// retrieve calls Retrieve. It must return credentials that have not expired.
func retrieve(t *testing.T, provider *irsa.Provider) {
	credentials, err := provider.Retrieve(t.Context())
	assert.NoError(t, err)
	assert.True(t, credentials.HasKeys() && time.Now().Before(credentials.Expires))
}

func s3Client(provider *irsa.Provider) *s3.Client {
	return s3.NewFromConfig(provider.AWSConfig(), func(o *s3.Options) {
		o.BaseEndpoint, o.UsePathStyle, o.HTTPClient = aws.String(cluster.minio.url()), true, cluster.authority.client
	})
}

// The token manager rotates a token after 80% of its lifetime, minus a few seconds. Only the clock of the manager
// is ahead in this test. The library detects the new token at its next poll, within a minute.
func TestProviderDetectsRotationByKubelet(t *testing.T) {
	t.Parallel()
	p := newPod(t, withLifetime("600"))
	now := clocktesting.NewFakeClock(time.Now())
	kubelet := newKubelet(now)
	g := newGateway(t)
	sync := func() string {
		require.NoError(t, kubelet.sync(p.Pod))
		return p.token(t)
	}
	first := sync()
	rotated := make(chan irsa.Event, 1)
	provider := p.provider(t, g.options, func(o *irsa.Options) {
		o.Observe = func(e irsa.Event) {
			if e.Kind == irsa.EventTokenRotated {
				rotated <- e
			}
		}
	})
	retrieve(t, provider)
	require.Equal(t, []string{first}, g.take())

	now.SetTime(expiryOf(t, first).Add(-140 * time.Second))
	assert.Equal(t, first, sync(), "not yet due")
	now.SetTime(expiryOf(t, first).Add(-115 * time.Second))
	second := sync()
	require.NotEqual(t, first, second)
	select {
	case event := <-rotated:
		assert.Equal(t, expiryOf(t, second), event.Status.TokenExpiry.Local())
	case <-time.After(10 * time.Minute):
		t.Fatal("the Provider did not detect the new token")
	}
	assert.Empty(t, g.take(), "a rotation causes no exchange")
	require.NoError(t, provider.Refresh(t.Context()))
	assert.Equal(t, []string{second}, g.take())
}

// The node was disconnected until the token had expired. When the kubelet rotates the token,
// the watch of the file starts an attempt without a call of the Provider.
func TestProviderRetriesWhenExpiredTokenIsReplaced(t *testing.T) {
	p := newPod(t, withLifetime("600"))
	usual := p.token(t)
	p.write(t, issuedAgo(t, usual, 20*time.Minute))
	provider := p.provider(t)
	_, err := provider.Retrieve(t.Context())
	require.ErrorIs(t, err, irsa.ErrTokenRejected) // MinIO has no specific code for expired tokens
	require.ErrorContains(t, err, "Token is expired")
	assert.NotContains(t, err.Error(), usual)
	eventually := func(what string, is func(irsa.Status) bool) {
		t.Helper()
		require.Eventually(t, func() bool { return is(provider.Status()) }, 10*time.Minute, 10*time.Millisecond, what)
	}
	eventually("no attempt is due without a call", func(s irsa.Status) bool { return s.Failures > 0 && s.NextAttempt.IsZero() })

	require.NoError(t, newKubelet(clock.RealClock{}).sync(p.Pod))
	eventually("credentials", func(s irsa.Status) bool { return s.State == cache.Fresh })
}

// MinIO is killed and restarted during calls of Retrieve and continuous exchanges.
func TestProviderServesCallersWhileSTSIsKilled(t *testing.T) {
	p := newPod(t, withLifetime("3600"))
	provider := p.provider(t)
	require.NoError(t, provider.WaitReady(t.Context()))
	before, err := provider.Retrieve(t.Context())
	require.NoError(t, err)

	load := newLoad(t)
	var retrieved, exchanged, failed atomic.Int64
	var starting atomic.Bool
	for range 8 {
		load.every(time.Millisecond, func() {
			retrieve(t, provider)
			retrieved.Add(1)
		})
	}
	load.every(20*time.Millisecond, func() {
		if err := provider.Refresh(load.ctx); err == nil {
			exchanged.Add(1)
		} else if load.ctx.Err() == nil {
			if !starting.Load() { // while MinIO starts, it does not know the role yet
				assert.ErrorIs(t, err, irsa.ErrUnavailable)
			}
			failed.Add(1)
		}
	})
	more := func(n *atomic.Int64) {
		t.Helper()
		least := n.Load() + 3
		require.Eventually(t, func() bool { return n.Load() >= least }, 10*time.Minute, 10*time.Millisecond)
	}
	more(&exchanged)
	cluster.minio.kill()
	more(&failed)
	assert.Error(t, provider.Healthy())
	more(&retrieved)
	starting.Store(true)
	require.NoError(t, cluster.minio.restart())
	more(&exchanged)
	load.stop()
	t.Logf("%d callers served, %d exchanges, %d failed", retrieved.Load(), exchanged.Load(), failed.Load())

	// The credentials from before and after the outage are valid.
	old := s3Client(provider).Options()
	old.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return before, nil })
	for _, client := range []*s3.Client{s3.New(old), s3Client(provider)} {
		put(t, client, p.Namespace)
	}
}
