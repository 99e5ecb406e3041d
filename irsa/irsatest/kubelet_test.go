package irsatest_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// onDisk returns the content of the token file.
func onDisk(t *testing.T, pod *irsatest.Pod) string {
	t.Helper()
	b, err := os.ReadFile(pod.TokenFile())
	require.NoError(t, err)
	return string(b)
}

func autoRotate(o *irsatest.PodOptions) { o.AutoRotate = true }

func TestPodAutoRotateAt80PercentOfLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		pod := w.Pod(w.sa, w.role, autoRotate, func(o *irsatest.PodOptions) { o.TokenLifetime = 10 * time.Minute })
		for range 3 {
			before := onDisk(t, pod)
			time.Sleep(8*time.Minute - time.Second)
			assert.Equal(t, before, onDisk(t, pod))
			time.Sleep(time.Second)
			synctest.Wait()
			assert.NotEqual(t, before, onDisk(t, pod))
			assert.Equal(t, pod.Token(), onDisk(t, pod))
		}
		pod.Freeze()
		before := onDisk(t, pod)
		time.Sleep(8 * time.Minute)
		synctest.Wait()
		assert.Equal(t, before, onDisk(t, pod), "the pod is frozen")
		pod.Thaw()
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.NotEqual(t, before, onDisk(t, pod))
	})
}

func TestPodAutoRotateFollowsCurrentToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		pod := w.Pod(w.sa, w.role, autoRotate) // the token's lifetime is one day
		refreshedAfter := func() time.Duration {
			before, begin := pod.Token(), time.Now()
			for pod.Token() == before {
				time.Sleep(time.Second)
				synctest.Wait()
			}
			return time.Since(begin)
		}
		pod.Rotate(func(o *irsatest.TokenOptions) { o.Lifetime = 10 * time.Minute })
		assert.InDelta(t, 8*time.Minute, refreshedAfter(), float64(time.Minute))
		time.Sleep(19 * time.Hour)
		pod.Rotate() // manually, shortly before the kubelet would do so
		assert.Greater(t, refreshedAfter(), 19*time.Hour)
		pod.Rotate(irsatest.Invalid("expired"))
		assert.LessOrEqual(t, refreshedAfter(), time.Minute)
		pod.Write([]byte("no token"))
		assert.LessOrEqual(t, refreshedAfter(), time.Minute)
		for _, years := range []int{1, 200} {
			pod.Rotate(func(o *irsatest.TokenOptions) { o.Lifetime = time.Duration(years) * 365 * 24 * time.Hour })
			assert.InDelta(t, 24*time.Hour, refreshedAfter(), float64(time.Minute), "%d years", years)
		}
	})
}

func TestClusterCloseEndsAutoRotateOnLoopback(t *testing.T) {
	k, err := irsatest.Start()
	require.NoError(t, err)
	sa := k.ServiceAccount("shop", "cart")
	for range 20 {
		k.Pod(sa, k.Role("s3-writer"), autoRotate, func(o *irsatest.PodOptions) { o.TokenLifetime = time.Second })
	}
	require.NoError(t, k.Close())
	stacks := make([]byte, 1<<20)
	assert.NotContains(t, string(stacks[:runtime.Stack(stacks, true)]), "(*kubelets).start")
}

func TestClusterCloseEndsAutoRotateInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		pod := w.Pod(w.sa, w.role, autoRotate)
		before := onDisk(t, pod)
		require.NoError(t, w.Close())
		time.Sleep(48 * time.Hour)
		assert.Equal(t, before, onDisk(t, pod))
	})
}

func TestPodAutoRotateFailureFailsTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := &recordingTB{TB: t}
		k := irsatest.New(tb)
		sa := k.ServiceAccount("shop", "cart")
		pod := k.Pod(sa, k.Role("s3-writer"), autoRotate)
		volume := filepath.Dir(pod.TokenFile())
		require.NoError(t, os.RemoveAll(volume))
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		require.Len(t, tb.errors, 1, "the rotations end after the first error")
		assert.Contains(t, tb.errors[0], "irsatest: writing the volume of pod "+pod.Name())
	})
}

// recordingTB is a testing.TB that records errors instead of failing the test.
type recordingTB struct {
	testing.TB
	errors []string
}

func (tb *recordingTB) Errorf(format string, args ...any) {
	tb.errors = append(tb.errors, fmt.Sprintf(format, args...))
}

func modeOf(t *testing.T, pod *irsatest.Pod) fs.FileMode {
	t.Helper()
	info, err := os.Stat(pod.TokenFile())
	require.NoError(t, err)
	return info.Mode().Perm()
}

func TestPodFreezeBlocksWrites(t *testing.T) {
	w := inMemory(t)
	before, mode := onDisk(t, w.pod), modeOf(t, w.pod)
	w.pod.Freeze()
	w.pod.Rotate()
	w.pod.Write([]byte("raw"))
	w.pod.RemoveToken()
	w.pod.Truncate(3)
	w.pod.Chmod(0o600)
	assert.Equal(t, before, onDisk(t, w.pod))
	assert.Equal(t, mode, modeOf(t, w.pod))
	assert.Equal(t, before, w.pod.Token())
	w.pod.Thaw()
	w.pod.Rotate()
	assert.NotEqual(t, before, onDisk(t, w.pod))
}

func TestPodSubPathMountNeverChanges(t *testing.T) {
	w := inMemory(t)
	pod := w.Pod(w.sa, w.role, func(o *irsatest.PodOptions) { o.SubPath = true })
	before := onDisk(t, pod)
	assert.Equal(t, pod.Token(), before)
	pod.Rotate()
	pod.RemoveToken()
	assert.Equal(t, before, onDisk(t, pod))
	info, err := os.Lstat(pod.TokenFile())
	require.NoError(t, err)
	assert.True(t, info.Mode().IsRegular(), "a file, not a link")
	assert.Contains(t, pod.Environ(), "AWS_WEB_IDENTITY_TOKEN_FILE="+pod.TokenFile())
}

func TestPodTruncateKeepsPrefixInPlace(t *testing.T) {
	w := inMemory(t)
	token := w.pod.Token()
	data, err := os.Readlink(filepath.Join(filepath.Dir(w.pod.TokenFile()), "..data"))
	require.NoError(t, err)
	for _, size := range []int{100, 0, -1, 5} {
		w.pod.Truncate(size)
	}
	assert.Empty(t, onDisk(t, w.pod), "Truncate never grows the file")
	w.pod.WriteInPlace([]byte(token))
	w.pod.Truncate(100)
	assert.Equal(t, token[:100], onDisk(t, w.pod))
	w.pod.Truncate(1 << 20)
	assert.Equal(t, token[:100], onDisk(t, w.pod))
	same, err := os.Readlink(filepath.Join(filepath.Dir(w.pod.TokenFile()), "..data"))
	require.NoError(t, err)
	assert.Equal(t, data, same)
}
