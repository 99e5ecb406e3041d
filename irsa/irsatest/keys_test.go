package irsatest_test

import (
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// keyOf returns the ID of the key that signs the Cluster's tokens.
func keyOf(t *testing.T, k *irsatest.Cluster) string {
	t.Helper()
	token, err := jwt.ParseSigned(k.ServiceAccount("shop", "cart").Token(), []jose.SignatureAlgorithm{jose.RS256})
	require.NoError(t, err)
	return token.Headers[0].KeyID
}

func TestClusterNeverSharesKeyWithOpenCluster(t *testing.T) {
	keys := map[string]bool{}
	var last *irsatest.Cluster
	for range 4 {
		last = irsatest.New(t)
		key := keyOf(t, last)
		assert.False(t, keys[key], "another open Cluster has the key")
		keys[key] = true
	}
	key := keyOf(t, last)
	require.NoError(t, last.Close())
	assert.Equal(t, key, keyOf(t, irsatest.New(t)), "the key of a closed Cluster is used again")
}

// A token of the first Cluster would be valid in the second.
func TestClusterNeverReusesKeyOfIssuerURL(t *testing.T) {
	withURL := func(o *irsatest.Options) { o.IssuerURL = "https://oidc.example.com" }
	first := irsatest.New(t, withURL)
	key := keyOf(t, first)
	require.NoError(t, first.Close())
	assert.NotEqual(t, key, keyOf(t, irsatest.New(t, withURL)))
}
