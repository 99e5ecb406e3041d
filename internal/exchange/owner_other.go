//go:build !unix

package exchange

import (
	"io/fs"

	"github.com/irsakit/irsakit/internal/explain"
)

// ownerOf returns nil, because file owners are not known on this system.
func ownerOf(fs.FileInfo) *explain.Owner { return nil }
