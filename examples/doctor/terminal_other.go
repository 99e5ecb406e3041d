//go:build !linux && !darwin

package main

import "os"

// columns returns unknown, because the width of a terminal cannot be determined on this platform.
func columns(_ *os.File, unknown int) int { return unknown }
