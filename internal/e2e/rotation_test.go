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

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
)

// A rotator swaps a new token of the API server into a pod's volume again and again.
type rotator struct {
	mu      sync.Mutex
	tokens  []string
	written int // how many of them are
}

// rotate does it once.
func (r *rotator) rotate(ctx context.Context, p *pod) error {
	token, err := p.another(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.tokens = append(r.tokens, token)
	r.mu.Unlock()
	if err := writeToken(p.dir(), token); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.written++
	return nil
}

// current is the number of the token that is surely in the file by now.
func (r *rotator) current() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.written - 1
}

// since are the tokens from that one to the one that may be in the file already.
func (r *rotator) since(number int) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.tokens[number:])
}

// A rotation every 200 ms for 30 s, while with each of 8 providers callers retrieve, S3 is
// used and exchanges are made. Each exchange has to send a whole token that was in the file
// while it was made.
func TestARotationEvery200MillisecondsIsNoError(t *testing.T) {
	t.Parallel()
	p := newPod(t, lifeOf("600"))
	var rotator rotator
	require.NoError(t, rotator.rotate(t.Context(), p))
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	defer load.Wait()
	defer cancel()
	var exchanges, widest atomic.Int64
	for range 8 {
		spy := newSpy()
		provider := p.providerBeside(t, spy.options, patient)
		retrieve(t, provider) // so that each exchange to come is one of Refresh
		require.Len(t, spy.take(), 1)
		every(ctx, &load, time.Millisecond, func() { retrieve(t, provider) })
		every(ctx, &load, 50*time.Millisecond, func() { put(t, s3Client(provider), p.Namespace) })
		// Less often than once a second, so that an exchange begins when it is asked for.
		every(ctx, &load, 1100*time.Millisecond, func() {
			before := rotator.current()
			assert.NoError(t, provider.Refresh(t.Context()))
			possible, sent := rotator.since(before), spy.take()
			if assert.Len(t, sent, 1) {
				assert.True(t, slices.Contains(possible, sent[0]), "the token is none of the %d current ones", len(possible))
			}
			exchanges.Add(1)
			widest.Store(max(widest.Load(), int64(len(possible))))
		})
	}
	every(ctx, &load, 200*time.Millisecond, func() { assert.NoError(t, rotator.rotate(t.Context(), p)) })
	<-time.After(30 * time.Second)
	require.Eventually(t, func() bool { return rotator.current() > 100 && exchanges.Load() > 100 }, 10*time.Minute, 100*time.Millisecond)
	cancel()
	load.Wait()
	t.Logf("%d rotations, %d exchanges, of which each could have one of %d tokens at most", rotator.current(), exchanges.Load(), widest.Load())
}

// patient lets exchanges take as long as they do on a machine that has much to do.
func patient(o *irsa.Options) { o.AttemptTimeout = 2 * time.Minute }

// put is a request of an application, which has to succeed.
func put(t *testing.T, client *s3.Client, key string) {
	_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader("thank you")})
	assert.NoError(t, err)
}

// every does something again and again until the context ends.
func every(ctx context.Context, running *sync.WaitGroup, pause time.Duration, do func()) {
	running.Go(func() {
		ticker := time.NewTicker(pause)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				do()
			case <-ctx.Done():
				return
			}
		}
	})
}

// retrieve is what a caller does. It has to get credentials that have not expired.
func retrieve(t *testing.T, provider *irsa.Provider) {
	credentials, err := provider.Retrieve(t.Context())
	assert.NoError(t, err)
	assert.True(t, credentials.HasKeys() && time.Now().Before(credentials.Expires))
}

func s3Client(provider *irsa.Provider) *s3.Client {
	return s3.NewFromConfig(provider.AWSConfig(), func(o *s3.Options) {
		o.BaseEndpoint, o.UsePathStyle, o.HTTPClient = aws.String(cluster.minio.endpoint()), true, cluster.authority.client
	})
}

// The token manager renews a token when 80 % of its life have passed, less some seconds.
// Its clock is ahead here, and nobody else's. The library finds the new token by itself,
// within the minute after which it looks at the file.
func TestTheKubeletsRenewalIsPickedUp(t *testing.T) {
	t.Parallel()
	p := newPod(t, lifeOf("600"))
	kubelet, spy := newKubelet(cluster.api.client), newSpy()
	sync := func() string {
		require.NoError(t, kubelet.sync(p.Pod))
		return p.token(t)
	}
	first := sync()
	rotated := make(chan irsa.Event, 1)
	provider := p.providerBeside(t, spy.options, func(o *irsa.Options) {
		o.Observe = func(e irsa.Event) {
			if e.Kind == irsa.Rotated {
				rotated <- e
			}
		}
	})
	retrieve(t, provider)
	require.Equal(t, []string{first}, spy.take())

	kubelet.clock.stand(expiryOf(t, first).Add(-140 * time.Second))
	assert.Equal(t, first, sync(), "it is not time yet")
	kubelet.clock.stand(expiryOf(t, first).Add(-115 * time.Second))
	second := sync()
	require.NotEqual(t, first, second)
	select {
	case event := <-rotated:
		assert.Equal(t, expiryOf(t, second), event.Status.TokenExpiry.Local())
	case <-time.After(10 * time.Minute):
		t.Fatal("the provider has not found the new token")
	}
	assert.Empty(t, spy.take(), "a rotation is no reason for an exchange")
	require.NoError(t, provider.Refresh(t.Context()))
	assert.Equal(t, []string{second}, spy.take())
}

// The node was cut off until the token had expired. When the kubelet renews it, nobody has
// to ask the provider for anything: the watch of the file does.
func TestARenewalAfterTheTokenHasExpiredIsTriedAtOnce(t *testing.T) {
	p := newPod(t, lifeOf("600"))
	usual := p.token(t)
	p.write(t, issuedAgo(t, usual, 20*time.Minute))
	provider := p.provider(t)
	_, err := provider.Retrieve(t.Context())
	require.ErrorIs(t, err, irsa.ErrTokenRejected) // MinIO has no code of its own for it
	require.ErrorContains(t, err, "Token is expired")
	assert.NotContains(t, err.Error(), usual)
	eventually := func(what string, is func(irsa.Status) bool) {
		t.Helper()
		require.Eventually(t, func() bool { return is(provider.Status()) }, 10*time.Minute, 10*time.Millisecond, what)
	}
	eventually("nobody asks, so no attempt is due", func(s irsa.Status) bool { return s.Failures > 0 && s.NextAttempt.IsZero() })

	kubelet := newKubelet(cluster.api.client)
	require.NoError(t, kubelet.sync(p.Pod))
	eventually("there are credentials", func(s irsa.Status) bool { return s.State == cache.Fresh })
}
