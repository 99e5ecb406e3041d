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

// A rotation every 200 ms for 30 s, while in 8 processes' worth of providers callers
// retrieve, S3 is used and exchange follows exchange. Each exchange has to send a whole
// token that was in the file while it was made.
func TestARotationEvery200MillisecondsIsNoError(t *testing.T) {
	p := newPod(t, lifeOf("600"))
	var rotator rotator
	require.NoError(t, rotator.rotate(t.Context(), p))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var load sync.WaitGroup
	var exchanges atomic.Int64
	for range 8 {
		spy := newSpy()
		provider := p.provider(t, spy.options)
		retrieve(t, provider) // so that each exchange to come is one of Refresh
		require.Len(t, spy.take(), 1)
		every(ctx, &load, time.Millisecond, func() { retrieve(t, provider) })
		every(ctx, &load, 50*time.Millisecond, func() { put(t, s3Client(provider), p.Namespace) })
		every(ctx, &load, 10*time.Millisecond, func() {
			before := rotator.current()
			assert.NoError(t, provider.Refresh(t.Context()))
			possible, sent := rotator.since(before), spy.take()
			if assert.Len(t, sent, 1) {
				assert.True(t, slices.Contains(possible, sent[0]), "the token is none of the %d current ones", len(possible))
			}
			exchanges.Add(1)
		})
	}
	every(ctx, &load, 200*time.Millisecond, func() { assert.NoError(t, rotator.rotate(t.Context(), p)) })
	load.Wait()
	t.Logf("%d rotations, %d exchanges", rotator.written, exchanges.Load())
	assert.Greater(t, rotator.written, 30)
	assert.Greater(t, exchanges.Load(), int64(30))
}

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
		o.BaseEndpoint, o.UsePathStyle = aws.String(cluster.minio.endpoint()), true
	})
}

// The token manager renews a token when 80 % of its life have passed, less some seconds.
// Its clock is ahead here, and nobody else's.
func TestTheKubeletsRenewalIsPickedUp(t *testing.T) {
	p := newPod(t, lifeOf("600"))
	kubelet, spy := newKubelet(cluster.api.client), newSpy()
	sync := func() string {
		require.NoError(t, kubelet.sync(p.Pod))
		return p.token(t)
	}
	first := sync()
	provider := p.provider(t, spy.options)
	retrieve(t, provider)
	require.Equal(t, []string{first}, spy.take())

	kubelet.clock.set(460 * time.Second)
	assert.Equal(t, first, sync(), "it is not time yet")
	kubelet.clock.set(485 * time.Second)
	second := sync()
	require.NotEqual(t, first, second)
	require.NoError(t, provider.Refresh(t.Context()))
	assert.Equal(t, []string{second}, spy.take())
	kubelet.clock.set(0) // the new token is not older than it is
	assert.Equal(t, second, sync())
}

// The node was cut off until the token had expired. When the kubelet renews it, nobody has
// to ask the provider for another exchange.
func TestARenewalAfterTheTokenHasExpiredIsTriedAtOnce(t *testing.T) {
	p := newPod(t, lifeOf("600"))
	usual := p.token(t)
	p.write(t, issuedAgo(t, usual, 20*time.Minute))
	provider := p.provider(t)
	_, err := provider.Retrieve(t.Context())
	require.ErrorIs(t, err, irsa.ErrTokenRejected) // MinIO has no code of its own for it
	require.ErrorContains(t, err, "Token is expired")
	assert.NotContains(t, err.Error(), usual)

	kubelet := newKubelet(cluster.api.client)
	require.NoError(t, kubelet.sync(p.Pod))
	require.Eventually(t, func() bool {
		_, err := provider.Retrieve(t.Context())
		return err == nil
	}, 30*time.Second, 100*time.Millisecond)
}
