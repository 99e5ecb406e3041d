package irsatest_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// sameLink reports whether the link or file at path is still the same as before.
func sameLink(t *testing.T, before fs.FileInfo, path string) bool {
	t.Helper()
	return os.SameFile(before, lstat(t, path))
}

func lstat(t *testing.T, path string) fs.FileInfo {
	t.Helper()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	return info
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, entry := range list {
		names = append(names, entry.Name())
	}
	return names
}

func TestPodVolumeHasKubeletLayout(t *testing.T) {
	w := inMemory(t)
	dir := filepath.Dir(w.pod.TokenFile())
	link := lstat(t, w.pod.TokenFile())
	seen := map[string]bool{}
	for range 5 {
		names := entries(t, dir)
		require.Len(t, names, 3, "the old directory is gone, and so is ..data_tmp")
		assert.Equal(t, []string{"..data", "token"}, names[1:])
		assert.Regexp(t, `^\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.\d+$`, names[0])
		assert.False(t, seen[names[0]], "each payload has its own directory")
		seen[names[0]] = true

		target, err := os.Readlink(filepath.Join(dir, "..data"))
		require.NoError(t, err)
		assert.Equal(t, names[0], target)
		target, err = os.Readlink(w.pod.TokenFile())
		require.NoError(t, err)
		assert.Equal(t, filepath.Join("..data", "token"), target)
		assert.True(t, sameLink(t, link, w.pod.TokenFile()), "the link is created once")

		assert.Equal(t, w.pod.Token(), content(t, w.pod))
		w.pod.Rotate()
	}
}

func content(t *testing.T, pod *irsatest.Pod) string {
	t.Helper()
	b, err := os.ReadFile(pod.TokenFile())
	require.NoError(t, err)
	return string(b)
}

func TestPodVolumeDirectoryNameIsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the bubble's clock starts in 2000
		w := inMemory(t)
		target, err := os.Readlink(filepath.Join(filepath.Dir(w.pod.TokenFile()), "..data"))
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(target, "..2000_01_01_00_00_00."), target)
	})
}

func TestPodWriteSkipsEqualPayload(t *testing.T) {
	w := inMemory(t)
	dir := filepath.Dir(w.pod.TokenFile())
	names, data := entries(t, dir), lstat(t, filepath.Join(dir, "..data"))
	w.pod.Write([]byte(w.pod.Token()))
	assert.Equal(t, names, entries(t, dir))
	assert.True(t, sameLink(t, data, filepath.Join(dir, "..data")))
}

func TestPodWritesAndRemovesAnyContent(t *testing.T) {
	w := inMemory(t)
	dir := filepath.Dir(w.pod.TokenFile())
	data := lstat(t, filepath.Join(dir, "..data"))

	w.pod.WriteInPlace([]byte("half"))
	assert.Equal(t, "half", content(t, w.pod))
	assert.Equal(t, "half", w.pod.Token())
	assert.True(t, sameLink(t, data, filepath.Join(dir, "..data")), "not swapped")

	w.pod.Write(nil)
	assert.Empty(t, content(t, w.pod))
	assert.NotEqual(t, "half", w.pod.Token())

	link := lstat(t, w.pod.TokenFile())
	w.pod.RemoveToken()
	w.pod.RemoveToken()
	_, err := os.ReadFile(w.pod.TokenFile())
	require.ErrorIs(t, err, fs.ErrNotExist)
	assert.Empty(t, w.pod.Token())

	w.pod.Rotate()
	assert.Equal(t, w.pod.Token(), content(t, w.pod))
	assert.True(t, sameLink(t, link, w.pod.TokenFile()))
	assert.Len(t, entries(t, dir), 3)
}

func TestPodConcurrentWrites(t *testing.T) {
	w := inMemory(t)
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for range 20 {
				w.pod.Rotate()
				w.pod.RemoveToken()
				w.pod.Write([]byte(w.pod.Token()))
			}
		})
	}
	writers.Wait()
	w.pod.Rotate()
	assert.Equal(t, w.pod.Token(), content(t, w.pod))
	assert.Len(t, entries(t, filepath.Dir(w.pod.TokenFile())), 3)
}
