//go:build unix

package irsa

import (
	"fmt"
	"io/fs"
	"syscall"
)

// ownerOf says to whom a file belongs.
func ownerOf(info fs.FileInfo) string {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf(" and belongs to user %d and group %d", stat.Uid, stat.Gid)
	}
	return ""
}
