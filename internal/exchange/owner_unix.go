//go:build unix

package exchange

import (
	"io/fs"
	"syscall"

	"github.com/irsakit/irsakit/internal/explain"
)

// ownerOf returns the owner of a file, or nil if it is unknown.
func ownerOf(info fs.FileInfo) *explain.Owner {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return &explain.Owner{User: stat.Uid, Group: stat.Gid}
	}
	return nil
}
