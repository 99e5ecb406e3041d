// Package regularfile opens only regular files. It never blocks on a named pipe, because it
// checks the type of a file that it has opened without blocking.
package regularfile

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
)

// Open opens the regular file at path for reading. If the file is of any other type,
// such as a named pipe, Open returns an error without blocking. The FileInfo describes
// the opened file.
func Open(path string) (*os.File, fs.FileInfo, error) {
	file, err := open(path)
	if err != nil {
		// Opening a socket fails, but with an error that does not name the cause.
		_, cause := Stat(path)
		return nil, nil, cmp.Or(cause, err)
	}
	info, err := file.Stat()
	if err == nil {
		err = Check(path, info)
	}
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// Stat is like [os.Stat], but returns an error if the file is not a regular file.
func Stat(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return info, Check(path, info)
}

// Check returns an error naming path unless info describes a regular file.
func Check(path string, info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	return fmt.Errorf("%s is %s, not a regular file", path, kind(info.Mode()))
}

// kind returns the type of a non-regular file.
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
