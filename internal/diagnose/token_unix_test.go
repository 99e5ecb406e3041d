//go:build unix

package diagnose

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/test/filetest"
)

// The token file can be replaced after its path has been checked.
func TestRunDoesNotBlockOnSpecialFiles(t *testing.T) {
	for path, kind := range filetest.Special(t) {
		t.Run(kind, func(t *testing.T) {
			d := diagnosis{result: &Result{}, config: &config.Config{TokenFile: path, Shared: &config.Shared{}}}
			filetest.Within(t, func() { d.checkTokenPermission(t.Context()) })
			require.Len(t, d.result.Checks, 1)
			check := d.result.Checks[0]
			assert.Equal(t, Failed, check.Status)
			assert.Equal(t, path+" is "+kind+", not a regular file", check.Detail)
			assert.Contains(t, check.Link, "#token-malformed")
		})
	}
}
