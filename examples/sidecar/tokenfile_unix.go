//go:build unix

package main

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/irsakit/irsakit/internal/regularfile"
)

// openFlags prevent blocking when opening a named pipe without a writer, and prevent a terminal from
// becoming the controlling terminal.
const openFlags = syscall.O_NONBLOCK | syscall.O_NOCTTY

// checkToken returns an error unless the file is a regular file that is owned by the process's user,
// writable only by that user, and readable only by that user and its group.
func checkToken(path string, info fs.FileInfo) error {
	if err := regularfile.Check(path, info); err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&^0o640 != 0 {
		return fmt.Errorf("%s has the mode %v, so that others can read or change the token; remove it", path, mode)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to the user %d, but the sidecar runs as %d; remove it, or run both as the same user", path, stat.Uid, os.Geteuid())
	}
	return nil
}

// setMode sets the file's mode unless the same users can already read the file. A file of a read-only
// volume, such as that of a Secret, may not be writable, and its mode cannot be changed.
func setMode(file *os.File, mode fs.FileMode) error {
	info, err := file.Stat()
	if err != nil || info.Mode().Perm()|0o200 == mode {
		return err
	}
	return file.Chmod(mode)
}
