package irsametrics

import (
	"testing"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
)

// A controller adds its Providers on every reconciliation.
func TestAddAgainMakesProviderLast(t *testing.T) {
	newProvider := func() *irsa.Provider {
		p, err := irsa.New(func(o *irsa.Options) {
			o.RoleARN, o.TokenFile, o.Region = "arn:aws:iam::111122223333:role/s3-writer", "/token", "us-west-2"
		})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, p.Close()) })
		return p
	}
	m, first, second := New(), newProvider(), newProvider()
	for range 3 {
		m.Add(first)
		m.Add(second)
	}
	m.Add(first)
	assert.Equal(t, []weak.Pointer[irsa.Provider]{weak.Make(second), weak.Make(first)}, m.providers[seriesOf(first.Status())])
}
