package exchange

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/internal/jwt"
	"github.com/irsakit/irsakit/tokenfile"
)

// Facts gathers what the advice for a failure depends on. token may be nil. Facts does not read
// any files. For a token file, it relies on the facts in an *explain.TokenError.
func Facts(c *config.Config, kind, err error, token *tokenfile.Token) explain.Facts {
	f := explain.Facts{
		Kind: kind, Err: err, Now: time.Now(),
		RoleARN: c.RoleARN, Duration: c.Lifetime(), OwnRole: c.OwnRole,
		TokenFile: c.TokenFile, OwnToken: c.OwnToken,
		Chained: c.Chained, ExternalID: c.ExternalID, Tagged: c.Tagged, Identified: c.Identified,
		Region: c.Region, RegionSetting: c.RegionSetting(),
		Endpoint: c.Shared.Endpoint, URL: c.URL(), FIPS: c.Shared.FIPS, DualStack: c.Shared.DualStack,
		CABundle: c.Shared.Authorities != nil && c.Shared.HTTPClient == nil && c.Shared.STS == nil,
	}
	if token != nil {
		f.Claims, f.Algorithm = explain.CutClaims(token.Claims()), jwt.Algorithm([]byte(token.Reveal()))
	}
	var failure *explain.RequestError
	if errors.As(err, &failure) {
		f.Code = failure.Code
	}
	var unread *explain.TokenError
	if errors.As(err, &unread) {
		f.File = unread.File
	}
	return f
}

// TokenError wraps an error of the token source, adding facts about the token file.
func TokenError(c *config.Config, err error) *explain.TokenError {
	e := &explain.TokenError{Err: RedactTokens(err)}
	switch {
	case c.TokenFile != "":
		e.File = InspectFile(c.TokenFile)
	case errors.Is(err, tokenfile.ErrMalformed): // unlike a file, a function cannot return a partially written token
		e.Err = &explain.PermanentError{Err: e.Err}
	}
	return e
}

// SettingsAdvice returns the advice for one or more invalid settings. Its text covers all of them, and
// the rest is that of the first.
func SettingsAdvice(c *config.Config, errs config.Errors) explain.Advice {
	a := settingAdvice(c, errs[0])
	a.Text = errs.Advice(func(e config.Error) string { return settingAdvice(c, e).Text })
	return a
}

func settingAdvice(c *config.Config, e config.Error) explain.Advice {
	var unread *explain.TokenError
	if errors.As(e.Err, &unread) {
		return explain.For(Facts(c, explain.ErrTokenFile, e.Err, nil))
	}
	return explain.Setting(e.Heading, Facts(c, explain.ErrNotConfigured, e.Err, nil))
}

// InspectFile examines a token file, to explain why it cannot be read or was not renewed.
func InspectFile(path string) explain.File {
	file := explain.File{User: os.Getuid(), Group: os.Getgid()}
	file.MoreGroups, _ = os.Getgroups() // nil on error
	file.Missing, file.DanglingLink = missingPart(path)
	file.NeverRenewed = isRegularFile(path)
	if info, err := os.Stat(path); err == nil {
		file.Visible, file.Mode, file.Owner = true, info.Mode(), ownerOf(info)
	}
	return file
}

// isRegularFile reports whether path itself is a regular file. Projected files are symbolic links
// into ..data (pkg/volume/util/atomic_writer.go), unless they are mounted with subPath.
func isRegularFile(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular()
}

// missingPart returns the first part of path that does not exist. If dangling is true, it is a
// symbolic link whose target does not exist. The results are meaningless if path exists.
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
