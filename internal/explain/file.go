package explain

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// File describes a token file and the process that reads it.
type File struct {
	Missing      string // the first part of the path that does not exist; meaningless if the path exists
	DanglingLink bool   // Missing is a dangling symbolic link
	NeverRenewed bool   // the path is a regular file rather than a link into a projected volume

	Visible bool // the process can access the directory, and Mode is set
	Mode    fs.FileMode
	Owner   *Owner // nil if unknown

	User, Group int // user and group of the process; -1 on Windows
	MoreGroups  []int
}

// Owner is the user and group that own a file.
type Owner struct{ User, Group uint32 }

// missing describes the missing part of the path.
func (f File) missing() string {
	if f.DanglingLink {
		return f.Missing + " is a symbolic link whose target does not exist"
	}
	return f.Missing + " does not exist"
}

// Access describes the file's mode and owner, and the user and groups of the process.
func (f File) Access() string {
	switch {
	case f.onWindows() && f.Visible:
		return fmt.Sprintf("the file has the mode %s", f.Mode)
	case f.onWindows():
		return "the process cannot access the directory"
	}
	process := fmt.Sprintf("the process runs as user %d and group %d", f.User, f.Group)
	if len(f.MoreGroups) > 0 {
		process += fmt.Sprintf(" (and %s)", strings.Trim(fmt.Sprint(f.MoreGroups), "[]"))
	}
	if !f.Visible {
		return process + ", which cannot access the directory"
	}
	owner := ""
	if f.Owner != nil {
		owner = fmt.Sprintf(" and belongs to user %d and group %d", f.Owner.User, f.Owner.Group)
	}
	return fmt.Sprintf("the file has the mode %s%s, and %s", f.Mode, owner, process)
}

// onWindows reports whether the process runs on Windows. There, users have no numeric ID, and a
// file's mode does not determine who can read it.
func (f File) onWindows() bool { return f.User < 0 }

// isReadable reports whether the file's mode allows the process to read it. If so, a read failure has
// a different cause.
func (f File) isReadable() bool {
	if !f.Visible {
		return false
	}
	if f.User == 0 || f.Mode&0o004 != 0 {
		return true
	}
	if f.Owner == nil {
		return false
	}
	mine := int64(f.Owner.Group) == int64(f.Group) || slices.Contains(f.MoreGroups, int(f.Owner.Group))
	return int64(f.Owner.User) == int64(f.User) && f.Mode&0o400 != 0 || mine && f.Mode&0o040 != 0
}
