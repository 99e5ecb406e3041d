package regularfile

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOpenReturnsFileAndInfo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("text"), 0o600))
	file, info, err := Open(path)
	require.NoError(t, err)
	defer file.Close()
	assert.EqualValues(t, 4, info.Size())
	text, err := io.ReadAll(file)
	require.NoError(t, err)
	assert.Equal(t, "text", string(text))
}

func TestOpenReturnsErrNotExist(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	file, _, err := Open(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, path)
	require.Nil(t, file)
}

func TestOpenRejectsDirectory(t *testing.T) {
	dir := t.TempDir()
	_, _, err := Open(dir)
	require.EqualError(t, err, dir+" is a directory, not a regular file")
	_, err = Stat(dir)
	require.EqualError(t, err, dir+" is a directory, not a regular file")
}
