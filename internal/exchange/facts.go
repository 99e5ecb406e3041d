package exchange

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/tokenfile"
)

// Facts returns the facts that the advice for a failure depends on. token is nil if there is none.
func Facts(c *config.Config, kind, err error, token *tokenfile.Token) explain.Facts {
	f := explain.Facts{Kind: kind, Err: err, RoleARN: c.RoleARN, Region: c.Region, TokenFile: c.TokenFile, Now: time.Now()}
	if token != nil {
		f.Claims = token.Claims()
	}
	var failure *explain.RequestError
	if errors.As(err, &failure) {
		f.Code = failure.Code
	}
	if f.TokenFile != "" && (errors.Is(kind, explain.ErrTokenFile) || errors.Is(kind, explain.ErrTokenExpired)) {
		f.File = InspectFile(f.TokenFile)
	}
	return f
}

// InspectFile returns the facts about a token file on which the advice for a failure depends.
func InspectFile(path string) explain.File {
	file := explain.File{User: os.Getuid(), Group: os.Getgid()}
	file.MoreGroups, _ = os.Getgroups() // nil on error
	file.Missing, file.DanglingLink = missingPart(path)
	if info, err := os.Lstat(path); err == nil {
		// Projected files are links into ..data (pkg/volume/util/atomic_writer.go), unless they
		// are mounted with subPath.
		file.NeverRenewed = info.Mode().IsRegular()
	}
	if info, err := os.Stat(path); err == nil {
		file.Visible, file.Mode, file.Owner = true, info.Mode(), ownerOf(info)
	}
	return file
}

// missingPart returns the first part of a path that does not exist, and reports whether that is a
// link to nothing. Its results have no meaning for a path that exists.
func missingPart(path string) (part string, dangling bool) {
	path = filepath.Clean(path)
	for parent := filepath.Dir(path); parent != path; path, parent = parent, filepath.Dir(parent) {
		if _, err := os.Lstat(path); err == nil {
			return path, true
		}
		if _, err := os.Stat(parent); err == nil {
			break
		}
	}
	return path, false
}
