package irsatest_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// According to strace, the kubelet's AtomicWriter uses this order: mkdir, chmod, symlink ..data_tmp,
// rename, and then the removal of the old directory.
func TestPodVolumeWritesInKubeletOrder(t *testing.T) {
	w := inMemory(t)
	dir := filepath.Dir(w.pod.TokenFile())
	old, err := os.Readlink(filepath.Join(dir, "..data"))
	require.NoError(t, err)
	queue, err := syscall.InotifyInit1(syscall.IN_NONBLOCK)
	require.NoError(t, err)
	defer func() { _ = syscall.Close(queue) }()
	_, err = syscall.InotifyAddWatch(queue, dir, syscall.IN_CREATE|syscall.IN_ATTRIB|syscall.IN_MOVE|syscall.IN_DELETE)
	require.NoError(t, err)
	w.pod.Rotate()
	fresh, err := os.Readlink(filepath.Join(dir, "..data"))
	require.NoError(t, err)
	assert.Equal(t, []string{
		"create " + fresh, "attrib " + fresh, "create ..data_tmp", "move ..data_tmp", "move ..data", "delete " + old,
	}, events(t, queue))
}

// events returns the pending events in the inotify queue (inotify(7)).
func events(t *testing.T, queue int) []string {
	t.Helper()
	buffer := make([]byte, 64<<10)
	n, err := syscall.Read(queue, buffer)
	require.NoError(t, err)
	var out []string
	for rest := buffer[:n]; len(rest) > 0; {
		mask, size := binary.NativeEndian.Uint32(rest[4:]), binary.NativeEndian.Uint32(rest[12:])
		name := strings.TrimRight(string(rest[syscall.SizeofInotifyEvent:syscall.SizeofInotifyEvent+size]), "\x00")
		rest = rest[syscall.SizeofInotifyEvent+size:]
		for bit, what := range map[uint32]string{
			syscall.IN_CREATE: "create", syscall.IN_ATTRIB: "attrib", syscall.IN_MOVED_FROM: "move", syscall.IN_MOVED_TO: "move", syscall.IN_DELETE: "delete",
		} {
			if mask&bit != 0 {
				out = append(out, what+" "+name)
			}
		}
	}
	return out
}
