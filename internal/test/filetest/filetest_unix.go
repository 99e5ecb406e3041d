//go:build unix

package filetest

import (
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Special returns the paths of a directory, a named pipe without a writer, a socket and a
// device. Each path maps to the description of the file in errors.
func Special(t *testing.T) map[string]string {
	t.Helper()
	dir, err := os.MkdirTemp("", "") //nolint:usetesting // TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	directory, pipe, socket := filepath.Join(dir, "directory"), filepath.Join(dir, "pipe"), filepath.Join(dir, "socket")
	listener, err := net.Listen("unix", socket)
	if err := errors.Join(err, os.Mkdir(directory, 0o700), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return map[string]string{directory: "a directory", pipe: "a named pipe", socket: "a socket", "/dev/zero": "a device"}
}

// Within calls f and fails the test if f does not return within two minutes.
func Within(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatal("blocked for two minutes")
	}
}

// Swap calls read n times. During each call a special file replaces the regular file at
// path, or the regular file replaces the special one. Swap fails the test if a call
// blocks, or fails with an error that does not name the type of the file.
func Swap(t *testing.T, regular string, n int, read func(path string) error) {
	t.Helper()
	path := filepath.Join(Tmpfs(t), "link")
	next := path + ".next"
	if err := os.Symlink(regular, path); err != nil {
		t.Fatal(err)
	}
	var targets []string
	for special := range Special(t) {
		targets = append(targets, special, regular)
	}
	start, swapped := make(chan struct{}), make(chan error, 1)
	go func() {
		for range start {
			swapped <- os.Rename(next, path)
		}
	}()
	Within(t, func() {
		defer close(start)
		succeeded := 0
		for i := range n {
			if err := os.Symlink(targets[i%len(targets)], next); err != nil {
				t.Error(err)
				return
			}
			start <- struct{}{}
			// The rename takes effect after a similar time. A sleep would take longer.
			for at := time.Now().Add(rand.N(50 * time.Microsecond)); time.Now().Before(at); {
			}
			err := read(path)
			if err == nil {
				succeeded++
			}
			if err := errors.Join(unexpected(err), <-swapped); err != nil {
				t.Error(err)
				return
			}
		}
		if succeeded == 0 || succeeded == n {
			t.Errorf("%d of %d calls succeeded", succeeded, n)
		}
	})
}

// unexpected returns nil for the errors that swapping files may cause, and err otherwise. The error is the
// operating system's if opening a socket failed and a regular file has replaced the socket since.
func unexpected(err error) error {
	if err == nil || strings.Contains(err.Error(), ", not a regular file") ||
		errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.EOPNOTSUPP) {
		return nil
	}
	return err
}
