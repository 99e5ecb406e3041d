//go:build unix

package explain

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
)

// On Windows, the same error also means that a directory is missing.
func TestRuleForTokenFileNamesPathBelowFile(t *testing.T) {
	a := For(Facts{Kind: ErrTokenFile, Err: &os.PathError{Op: "open", Path: "/token", Err: syscall.ENOTDIR}, TokenFile: "/token"})
	assert.Contains(t, a.Fix, "set AWS_WEB_IDENTITY_TOKEN_FILE")
}
