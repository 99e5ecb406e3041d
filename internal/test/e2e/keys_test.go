package e2e

import (
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
)

// The signing key of the API server is rotated as an administrator does it: the server first
// signs with the new key and publishes both keys, and later publishes only the new key.
func TestARotationOfTheSigningKey(t *testing.T) {
	p := newPod(t)
	kit := besideMinIO(t, p)
	first := p.token(t)
	requireBoth(t, kit, p, first)

	older := cluster.signingKey
	newer, err := newSigningKey(folder("pki/" + rand.Text() + ".key")) // unique, for -count
	require.NoError(t, err)
	cluster.signingKey = newer
	require.NoError(t, cluster.api.restart(newer, older))
	second, err := p.another(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, keyID(t, first), keyID(t, second))
	requireBoth(t, kit, p, second)
	requireBoth(t, kit, p, first)

	require.NoError(t, cluster.api.restart(newer))
	requireBoth(t, kit, p, second)
	// MinIO caches the keys until it is restarted.
	cluster.minio.process.stop()
	require.NoError(t, cluster.minio.start())

	onMinIO, onKit := p.provider(t), p.provider(t, kit.options)
	err = onMinIO.Refresh(t.Context())
	require.ErrorIs(t, err, irsa.ErrTokenRejected)
	assert.ErrorContains(t, err, "InvalidParameterValue")
	assert.Contains(t, fmt.Sprintf("%+v", err), cluster.api.issuer())
	err = onKit.Refresh(t.Context())
	assert.ErrorContains(t, err, "Couldn't retrieve verification key from your identity provider")
	for _, e := range []error{onMinIO.Refresh(t.Context()), err} {
		assert.NotContains(t, e.Error(), first)
		t.Log(e)
	}

	p.write(t, second)
	require.NoError(t, onMinIO.Refresh(t.Context()))
	require.NoError(t, onKit.Refresh(t.Context()))
}

func keyID(t *testing.T, token string) string {
	t.Helper()
	header, _ := parts(t, token)
	return header["kid"].(string)
}
