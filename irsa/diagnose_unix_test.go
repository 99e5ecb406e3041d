//go:build unix

package irsa

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/filetest"
)

// The token file can be replaced after the check of its path.
func TestDiagnoseDoesNotBlockOnSpecialFiles(t *testing.T) {
	for path, kind := range filetest.Special(t) {
		t.Run(kind, func(t *testing.T) {
			d := diagnosis{report: &Report{}, config: &config.Config{TokenFile: path}}
			filetest.Within(t, func() { d.tokenPermission(t.Context()) })
			require.Len(t, d.report.Checks, 1)
			check := d.report.Checks[0]
			assert.Equal(t, CheckFailed, check.Status)
			assert.Equal(t, path+" is not a regular file but "+kind, check.Detail)
			assert.Contains(t, check.Link, "#token-malformed")
		})
	}
}
