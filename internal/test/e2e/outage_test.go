package e2e

import (
	"context"
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

// MinIO is killed and restarted during calls of Retrieve and continuous exchanges.
func TestProviderServesCallersWhileSTSIsKilled(t *testing.T) {
	p := newPod(t, withLifetime("3600"))
	provider := p.provider(t)
	require.NoError(t, provider.WaitReady(t.Context()))
	before, err := provider.Retrieve(t.Context())
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	defer load.Wait()
	defer cancel()
	var retrieved, exchanged, failed atomic.Int64
	var starting atomic.Bool
	for range 8 {
		every(ctx, &load, time.Millisecond, func() {
			retrieve(t, provider)
			retrieved.Add(1)
		})
	}
	every(ctx, &load, 20*time.Millisecond, func() {
		if err := provider.Refresh(ctx); err == nil {
			exchanged.Add(1)
		} else if ctx.Err() == nil {
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
	cluster.minio.process.kill()
	more(&failed)
	assert.Error(t, provider.Healthy())
	more(&retrieved)
	starting.Store(true)
	require.NoError(t, cluster.minio.start())
	more(&exchanged)
	cancel()
	load.Wait()
	t.Logf("%d callers served, %d exchanges, %d failed", retrieved.Load(), exchanged.Load(), failed.Load())

	// The credentials from before and after the outage are valid.
	old := s3Client(provider).Options()
	old.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return before, nil })
	for _, client := range []*s3.Client{s3.New(old), s3Client(provider)} {
		put(t, client, p.Namespace)
	}
}
