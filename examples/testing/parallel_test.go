package shop_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	shop "github.com/irsakit/irsakit/examples/testing"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestClustersAreIndependent(t *testing.T) {
	for i := range 32 {
		t.Run(fmt.Sprintf("cart-%d", i), func(t *testing.T) {
			t.Parallel()
			k := irsatest.New(t)
			k.Issuer.SetAlgorithm("ES256") // generates keys faster than RS256
			sa := k.ServiceAccount("shop", fmt.Sprintf("cart-%d", i))
			pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)))
			u, err := shop.NewUploader(pod.Options)
			require.NoError(t, err)
			defer u.Close()

			_, err = u.Link(t.Context(), "4711")
			require.NoError(t, err)
			require.Len(t, k.STS.Calls(), 1)
			assert.Equal(t, sa.Subject(), k.STS.Calls()[0].Subject)
		})
	}
}
