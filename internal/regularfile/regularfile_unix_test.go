//go:build unix

package regularfile

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/filetest"
	"github.com/irsakit/irsakit/internal/test/testsize"
)

func TestOpenRejectsSpecialFiles(t *testing.T) {
	for path, kind := range filetest.Special(t) {
		t.Run(kind, func(t *testing.T) {
			want := path + " is " + kind + ", not a regular file"
			filetest.Within(t, func() {
				_, _, err := Open(path)
				assert.EqualError(t, err, want)
			})
		})
	}
}

func TestOpenDoesNotBlockWhileFilesAreSwapped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("text"), 0o600))
	filetest.Swap(t, path, testsize.Choose(500, 2_000, 10_000), func(path string) error {
		file, _, err := Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		text, err := io.ReadAll(file)
		assert.Equal(t, "text", string(text))
		return err
	})
}
