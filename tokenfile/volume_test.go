package tokenfile_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// volume is a directory with the layout of a projected volume: token is a link to
// ..data/token, and ..data is a link to the directory of the current payload.
type volume struct{ dir string }

func (v volume) path() string { return filepath.Join(v.dir, "token") }

// swap writes a new directory, renames a link to it to ..data, and removes the old
// directory, in the order of pkg/volume/util/atomic_writer.go.
func (v volume) swap(t *testing.T, text string) {
	t.Helper()
	data, link := filepath.Join(v.dir, "..data"), filepath.Join(v.dir, "..data_tmp")
	old, _ := os.Readlink(data)
	fresh, err := os.MkdirTemp(v.dir, "..2026_01_01_00_00_00.")
	require.NoError(t, err)
	rewrite(t, filepath.Join(fresh, "token"), text)
	require.NoError(t, os.Symlink(filepath.Base(fresh), link))
	if runtime.GOOS == "windows" { // rename does not replace a link there, so the kubelet removes it first too
		_ = os.Remove(data)
	}
	require.NoError(t, os.Rename(link, data))
	if old == "" {
		require.NoError(t, os.Symlink(filepath.Join("..data", "token"), v.path()))
		return
	}
	require.NoError(t, os.RemoveAll(filepath.Join(v.dir, old)))
}
