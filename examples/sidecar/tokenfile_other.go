//go:build !unix

package main

import (
	"io/fs"
	"os"

	"github.com/irsakit/irsakit/internal/regularfile"
)

// openFlags are not needed: on these systems opening a file never waits.
const openFlags = 0

// checkToken returns an error unless the file is a regular file. The permissions are those
// of the directory.
func checkToken(path string, info fs.FileInfo) error { return regularfile.Check(path, info) }

func setMode(*os.File, fs.FileMode) error { return nil }
