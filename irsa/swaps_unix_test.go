//go:build unix

package irsa_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa"
)

// On Windows the kubelet's swap is not atomic, and an open file cannot be removed.
func TestProviderExchangesDuringTokenSwaps(t *testing.T) {
	swaps := testsize.Choose(200, 1_000, 20_000)
	exchanges := testsize.Choose(10, 50, 50)
	k, pod := newPod(t)
	first := pod.Token()
	pod.Rotate()
	second := pod.Token()
	k.STS.SetLifetime(2 * time.Second) // many refreshes in the background
	steady := newProvider(t, pod.Options)
	retrieve(t, steady)

	var starts atomic.Int64
	swapped := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(swapped)
		for n := 0; n < swaps || starts.Load() < int64(exchanges) && !t.Failed(); n += 2 {
			pod.Write([]byte(first))
			pod.Write([]byte(second))
		}
	})
	wg.Go(func() { // callers of an existing Provider
		for running(swapped) {
			_, err := steady.Retrieve(t.Context())
			assert.NoError(t, err)
			time.Sleep(time.Millisecond)
		}
	})
	wg.Go(func() { // new Providers that each make an exchange
		for running(swapped) {
			p, err := irsa.New(pod.Options)
			if assert.NoError(t, err) {
				_, err = p.Retrieve(t.Context())
				assert.NoError(t, err)
				assert.Zero(t, p.Status().Failures)
				assert.NoError(t, p.Close())
			}
			starts.Add(1)
		}
	})
	wg.Wait()
	assert.GreaterOrEqual(t, k.STS.CallCount(), exchanges)
}
