package tokenfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/tokenfile"
)

// unprivileged runs f on a thread without capabilities, so that file modes apply
// to root too. The thread exits when f returns.
func unprivileged(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked, so that the thread exits with the goroutine
		header := struct {
			version uint32
			thread  int32
		}{version: 0x20080522} // _LINUX_CAPABILITY_VERSION_3; 0 is the calling thread
		var none [2]struct{ effective, permitted, inheritable uint32 }
		_, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none)), 0)
		if assert.Zero(t, errno) {
			f()
		}
	}()
	<-done
}

func TestReadReturnsErrPermission(t *testing.T) {
	path := write(t, tokenFor("s"))
	dir := filepath.Dir(path)
	t.Cleanup(func() { require.NoError(t, os.Chmod(dir, 0o700)) })
	unprivileged(t, func() {
		_, err := tokenfile.Read(path)
		assert.NoError(t, err)

		assert.NoError(t, os.Chmod(path, 0))
		token, err := tokenfile.Read(path)
		assert.ErrorIs(t, err, fs.ErrPermission, "the file is not readable")
		assert.NotErrorIs(t, err, tokenfile.ErrMalformed)
		assert.Empty(t, token.Reveal())

		assert.NoError(t, os.Chmod(path, 0o600))
		assert.NoError(t, os.Chmod(dir, 0))
		_, err = tokenfile.Read(path)
		assert.ErrorIs(t, err, fs.ErrPermission, "the directory is not accessible")
	})
}

func TestReadReturnsReadError(t *testing.T) {
	const path = "/proc/self/mem" // a regular file; no memory is mapped at its first byte
	token, err := tokenfile.Read(path)
	require.ErrorIs(t, err, syscall.EIO)
	require.ErrorContains(t, err, path)
	require.NotErrorIs(t, err, tokenfile.ErrMalformed)
	assert.Empty(t, token.Reveal())
}
