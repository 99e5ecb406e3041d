//go:build unix

package regularfile

import (
	"os"
	"syscall"
)

// open opens the file at path for reading. O_NONBLOCK keeps it from waiting for the writer
// of a named pipe. O_NOCTTY keeps a terminal from becoming the controlling terminal of the
// process.
func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
}
