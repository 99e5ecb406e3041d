//go:build !unix

package main

import (
	"io/fs"
	"os"

	"github.com/irsakit/irsakit/internal/regularfile"
)

// openFlags are not needed, because opening a file never blocks on this platform.
const openFlags = 0

// checkToken returns an error unless the file is a regular file. Its permissions are determined by
// the directory.
func checkToken(path string, info fs.FileInfo) error { return regularfile.Check(path, info) }

func setMode(*os.File, fs.FileMode) error { return nil }
