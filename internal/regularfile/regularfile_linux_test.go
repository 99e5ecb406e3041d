package regularfile

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Opening a tape rewinds it, and opening a pipe wakes its writer.
func TestOpenDoesNotTouchSpecialFiles(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	events, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, syscall.Close(events)) })
	_, err = syscall.InotifyAddWatch(events, pipe, syscall.IN_OPEN)
	require.NoError(t, err)
	event := make([]byte, 1024)

	_, _, err = Open(pipe)
	require.Error(t, err)
	_, err = syscall.Read(events, event)
	require.ErrorIs(t, err, syscall.EAGAIN, "the pipe was opened")

	_, _, err = openChecked(pipe)
	require.Error(t, err)
	_, err = syscall.Read(events, event)
	require.NoError(t, err, "the watch does not work")
}
