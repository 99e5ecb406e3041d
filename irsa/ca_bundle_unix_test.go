//go:build unix

package irsa_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/filetest"
	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa"
)

func TestNewRejectsSpecialFilesAsCABundle(t *testing.T) {
	for path, kind := range filetest.Special(t) {
		t.Run(kind, func(t *testing.T) {
			t.Setenv("AWS_CA_BUNDLE", path)
			filetest.Within(t, func() {
				_, err := irsa.New(valid)
				assert.ErrorIs(t, err, irsa.ErrNotConfigured)
				assert.ErrorContains(t, err, "AWS_CA_BUNDLE: ")
				assert.ErrorContains(t, err, " is "+kind+", not a regular file") // a long path is cut
			})
		})
	}
}

func TestNewDoesNotBlockWhileCABundlesAreSwapped(t *testing.T) {
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(bundle, certificate(t), 0o600))
	t.Setenv("AWS_CA_BUNDLE", "") // restores it after the test
	filetest.Swap(t, bundle, testsize.Choose(500, 2_000, 10_000), func(path string) error {
		assert.NoError(t, os.Setenv("AWS_CA_BUNDLE", path))
		p, err := irsa.New(valid)
		if err == nil {
			assert.NoError(t, p.Close())
		}
		return err
	})
}
