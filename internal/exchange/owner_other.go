//go:build !unix

package exchange

import (
	"io/fs"

	"github.com/irsakit/irsakit/internal/explain"
)

// ownerOf returns nil, because file owners are not supported on this platform.
func ownerOf(fs.FileInfo) *explain.Owner { return nil }
