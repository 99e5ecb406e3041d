//go:build unix

package regularfile

import (
	"os"
	"syscall"
)

// open opens the file at path for reading. With O_NONBLOCK it does not wait for a writer
// of a named pipe. With O_NOCTTY a terminal does not become the process's own.
func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
}
