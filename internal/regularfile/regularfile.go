// Package regularfile opens regular files only.
package regularfile

import (
	"fmt"
	"io/fs"
	"os"
)

// Open opens the file at path for reading. It returns an error if the file is not a
// regular file.
func Open(path string) (*os.File, fs.FileInfo, error) {
	// Before the file is opened: opening a named pipe would block.
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is not a regular file but %s", path, kind(info.Mode()))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	return file, info, nil
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	default:
		return "a device"
	}
}
