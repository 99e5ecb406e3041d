// Package filetest helps to test readers of files. On Unix, it creates directories, named pipes,
// sockets and devices in their place.
package filetest

import (
	"os"
	"testing"
)

// Tmpfs returns a directory on tmpfs, which the kubelet uses for projected volumes. Without a tmpfs, it
// returns a temporary directory.
func Tmpfs(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "irsakit-") //nolint:usetesting // TempDir is on a disk, which is slower
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
