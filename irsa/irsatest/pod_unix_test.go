//go:build unix

package irsatest_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestPodVolumeModesIgnoreUmask(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	w := inMemory(t)
	info, err := os.Stat(w.pod.TokenFile())
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o644), info.Mode().Perm())
	info, err = os.Stat(filepath.Join(filepath.Dir(w.pod.TokenFile()), "..data"))
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o755), info.Mode().Perm())
}

func TestPodChmodAppliesToLaterWrites(t *testing.T) {
	w := inMemory(t)
	assert.Equal(t, fs.FileMode(0o644), modeOf(t, w.pod))
	w.pod.Chmod(0o600)
	assert.Equal(t, fs.FileMode(0o600), modeOf(t, w.pod))
	w.pod.Rotate()
	assert.Equal(t, fs.FileMode(0o600), modeOf(t, w.pod))
	w.pod.RemoveToken()
	w.pod.Chmod(0o640)
	w.pod.Rotate()
	assert.Equal(t, fs.FileMode(0o640), modeOf(t, w.pod))
}

func TestPodChmodAppliesToSubPath(t *testing.T) {
	w := inMemory(t)
	pod := w.Pod(w.sa, w.role, func(o *irsatest.PodOptions) { o.SubPath = true })
	pod.Rotate()
	pod.Chmod(0o640)
	assert.Equal(t, fs.FileMode(0o640), modeOf(t, pod))
}

func TestPodWriteIsAtomicForReaders(t *testing.T) {
	swaps := testsize.Choose(500, 2_000, 20_000)
	w := inMemory(t)
	tokens := [2]string{w.pod.Token()}
	w.pod.Rotate()
	tokens[1] = w.pod.Token()

	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for !stop.Load() {
				got, err := os.ReadFile(w.pod.TokenFile())
				if errors.Is(err, fs.ErrNotExist) {
					continue // ..data was replaced before the file was opened
				}
				if !assert.NoError(t, err) {
					return
				}
				if s := string(got); s != tokens[0] && s != tokens[1] {
					t.Errorf("a reader saw %d bytes that are no token", len(s))
					return
				}
			}
		})
	}
	for i := range swaps {
		w.pod.Write([]byte(tokens[i%2]))
	}
	stop.Store(true)
	readers.Wait()
	assert.Len(t, entries(t, filepath.Dir(w.pod.TokenFile())), 3)
}
