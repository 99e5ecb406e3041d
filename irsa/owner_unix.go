//go:build unix

package irsa

import (
	"fmt"
	"io/fs"
	"syscall"
)

// ownerOf returns a text about the user and the group that own a file, or "".
func ownerOf(info fs.FileInfo) string {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf(" and belongs to user %d and group %d", stat.Uid, stat.Gid)
	}
	return ""
}
