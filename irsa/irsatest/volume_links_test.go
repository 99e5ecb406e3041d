package irsatest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVolumeDetectsLinks(t *testing.T) {
	v, err := newVolume(filepath.Join(t.TempDir(), "volume"))
	require.NoError(t, err)
	assert.Equal(t, os.Symlink("token", filepath.Join(t.TempDir(), "link")) == nil, v.links)
	list, err := os.ReadDir(v.dir)
	require.NoError(t, err)
	assert.Empty(t, list)
}

func TestVolumeWithoutLinksHasRegularFile(t *testing.T) {
	v := &volume{dir: t.TempDir(), mode: 0o644}
	for _, payload := range []string{"first", "second", "second", "third"} {
		require.NoError(t, v.write([]byte(payload)))
		info, err := os.Lstat(v.path())
		require.NoError(t, err)
		assert.True(t, info.Mode().IsRegular())
		read, err := os.ReadFile(v.path())
		require.NoError(t, err)
		assert.Equal(t, payload, string(read))
		require.NoError(t, v.chmod(0o444))
	}
	require.NoError(t, v.remove())
	require.NoError(t, v.remove())
	assert.NoFileExists(t, v.path())
	require.NoError(t, v.write([]byte("fourth")))
	assert.FileExists(t, v.path())
	list, err := os.ReadDir(v.dir)
	require.NoError(t, err)
	assert.Len(t, list, 1)
}
