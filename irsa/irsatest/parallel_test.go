package irsatest_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// Clusters are independent. Changes that a test makes to its own Cluster do not affect others.
func TestClusterParallelTestsOnLoopback(t *testing.T) {
	t.Parallel()
	var together, tests sync.WaitGroup
	count := testsize.Choose(4, 32, 32)
	together.Add(count)
	defer tests.Wait()
	for n := range count {
		run := func(t *testing.T) {
			together.Done()
			together.Wait() // until all tests are running, regardless of -parallel
			k, err := irsatest.Start(func(o *irsatest.Options) { o.AccountID = fmt.Sprintf("%012d", n) })
			require.NoError(t, err)
			defer func() { assert.NoError(t, k.Close()) }()
			sa := k.ServiceAccount("shop", fmt.Sprintf("cart-%d", n))
			role := k.Role("s3-writer", irsatest.Trust(sa))
			pod := k.Pod(sa, role)
			p, err := irsa.New(pod.Options)
			require.NoError(t, err)
			defer func() { assert.NoError(t, p.Close()) }()

			creds, err := p.Retrieve(t.Context())
			require.NoError(t, err)
			assert.Equal(t, fmt.Sprintf("%012d", n), creds.AccountID)
			switch n % 4 {
			case 0:
				k.STS.Down()
				require.Error(t, p.Refresh(t.Context()))
				k.STS.Up()
			case 1:
				k.Issuer.RotateKeys()
				k.Issuer.RetireKeys()
				require.ErrorIs(t, p.Refresh(t.Context()), irsa.ErrUnavailable)
				pod.Rotate()
			case 2:
				role.Fail(irsatest.AccessDenied, 1)
				require.ErrorIs(t, p.Refresh(t.Context()), irsa.ErrAccessDenied)
			case 3:
				pod.Rotate()
			}
			assert.Eventually(t, func() bool { return p.Refresh(t.Context()) == nil }, time.Minute, 10*time.Millisecond)
			for _, call := range k.STS.Calls() {
				assert.Equal(t, sa.Subject(), call.Subject)
			}
		}
		tests.Go(func() { t.Run(fmt.Sprintf("test %d", n), run) })
	}
}
