package irsa_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
)

func TestNewRejectsLargeCABundle(t *testing.T) {
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(bundle, certificate(t), 0o600))
	t.Setenv("AWS_CA_BUNDLE", bundle)
	for _, tt := range []struct {
		name string
		size int64
		ok   bool
	}{
		{"4 MiB", 4 << 20, true},
		{"one byte more", 4<<20 + 1, false},
		{"1 GiB", 1 << 30, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, os.Truncate(bundle, tt.size)) // a sparse file
			p, err := irsa.New(valid)
			if tt.ok {
				require.NoError(t, err)
				require.NoError(t, p.Close())
				return
			}
			require.ErrorIs(t, err, irsa.ErrNotConfigured)
			assert.ErrorContains(t, err, "AWS_CA_BUNDLE: ")
			assert.ErrorContains(t, err, "ca.pem is larger than 4 MiB") // a long path is cut
			assert.ErrorContains(t, err, "#tls")
		})
	}
}
