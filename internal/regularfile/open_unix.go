//go:build unix

package regularfile

import (
	"os"
	"syscall"
)

// open opens the file at path for reading. With O_NONBLOCK, it does not wait for the writer
// of a named pipe. With O_NOCTTY, a terminal does not become the controlling terminal of the
// process.
func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
}
