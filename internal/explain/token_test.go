package explain

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/tokenfile"
)

func TestRuleForTokenFileDependsOnFile(t *testing.T) {
	const path = "/var/run/secrets/token"
	for _, tt := range []struct {
		path    string
		err     error
		file    File
		heading Heading
		text    string
	}{
		{"", errors.New("quota"), File{}, HeadingTokenSource, "fix its cause, or the function"},
		{path, fs.ErrNotExist, File{Missing: "/var/run/secrets"}, HeadingTokenMissing, "/var/run/secrets does not exist. "},
		{path, fs.ErrNotExist, File{Missing: path, DanglingLink: true}, HeadingTokenMissing, path + " is a symbolic link whose target does not exist. "},
		{path, fs.ErrPermission, File{User: 1000, Group: 2000}, HeadingTokenPermission, "the process runs as user 1000 and group 2000, which cannot access the directory: "},
		{path, fs.ErrPermission, File{Visible: true, Mode: 0o600, Owner: &Owner{}, User: 1000, Group: 2000, MoreGroups: []int{3, 4}}, HeadingTokenPermission,
			"the file has the mode -rw------- and belongs to user 0 and group 0, and the process runs as user 1000 and group 2000 (and 3 4): "},
		{path, fs.ErrPermission, File{Visible: true, Mode: 0o600}, HeadingTokenPermission, "the file has the mode -rw-------, and the process"},
		{path, fs.ErrPermission, File{Visible: true, Mode: 0o666, User: -1, Group: -1}, HeadingTokenPermission, "Windows denies the access: check the access control list of " + path},
		{path, tokenfile.ErrMalformed, File{}, HeadingTokenMalformed, "one JWT"},
		{path, errors.New("is a directory"), File{}, HeadingTokenMalformed, "the token file itself"},
	} {
		a := For(Facts{Kind: ErrTokenFile, Err: tt.err, TokenFile: tt.path, File: tt.file})
		assert.Equal(t, tt.heading, a.Heading)
		assert.Contains(t, a.Text, tt.text)
		assert.Equal(t, errors.Is(tt.err, fs.ErrPermission), Permanent(tt.err))
	}
}

func TestRuleForExpiredTokenDependsOnClock(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := Facts{Kind: ErrTokenExpired, TokenFile: "/token", Now: now, Claims: tokenfile.Claims{Expiry: now.Add(time.Minute)}}
	assert.Equal(t, HeadingClock, For(f).Heading)
	f.Claims.Expiry = now.Add(-time.Minute)
	assert.Equal(t, HeadingTokenExpired, For(f).Heading)
	assert.Contains(t, For(f).Text, "expired at 2025-12-31T23:59:00Z")
	f.File.NeverRenewed = true
	assert.Equal(t, HeadingTokenNotRenewed, For(f).Heading)
	f.TokenFile, f.Code = "", "ExpiredTokenException"
	assert.Equal(t, HeadingTokenSource, For(f).Heading)
}

func TestRuleForRejectedTokenDependsOnSource(t *testing.T) {
	f := Facts{Kind: ErrTokenRejected, Code: "InvalidIdentityToken", RoleARN: testRole, Err: answered(400, "InvalidIdentityToken", "no"), Claims: tokenfile.Claims{Issuer: "https://oidc.example.com", Pod: "cart-1"}}
	assert.Contains(t, For(f).Text, "Options.Token")
	assert.NotContains(t, For(f).Text, "recreate")
	f.TokenFile = "/token"
	assert.Contains(t, For(f).Text, "service account's secret")
	f.Claims.Expiry = time.Unix(1, 0)
	assert.Contains(t, For(f).Text, "recreate the pod")
	assert.NotContains(t, For(f).Text, "secret")
}

func TestRuleForMalformedTokenNamesWebhookFile(t *testing.T) {
	for file, want := range map[string]bool{
		webhookFile: false, `C:\var\run\secrets\eks.amazonaws.com\serviceaccount\token`: false, "/tmp/token": true,
	} {
		f := Facts{Kind: ErrTokenFile, Err: tokenfile.ErrMalformed, TokenFile: file}
		assert.Equal(t, want, strings.Contains(For(f).Text, "AWS_WEB_IDENTITY_TOKEN_FILE must be"), file)
	}
}

func TestFileAccessOmitsUserOnWindows(t *testing.T) {
	f := File{Visible: true, Mode: 0o666, User: -1, Group: -1} // returned by os.Getuid and os.Getgid on Windows
	assert.Equal(t, "the file has the mode -rw-rw-rw-", f.Access())
	f.Visible = false
	assert.Equal(t, "the process cannot access the directory", f.Access())
}
