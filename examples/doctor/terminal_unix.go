//go:build linux || darwin

package main

import (
	"os"
	"syscall"
	"unsafe"
)

// columns returns the width of a terminal, or unknown if it cannot be determined.
func columns(terminal *os.File, unknown int) int {
	var size struct{ rows, columns, x, y uint16 }
	//nolint:gosec // the only way to ask the kernel without another module
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, terminal.Fd(), syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)))
	if errno != 0 || size.columns == 0 {
		return unknown
	}
	return int(size.columns)
}
