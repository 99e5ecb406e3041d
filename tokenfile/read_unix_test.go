//go:build unix

package tokenfile_test

import (
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/filetest"
	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/tokenfile"
)

func TestReadRejectsSpecialFiles(t *testing.T) {
	previous, err := tokenfile.Parse(tokenFor("s"))
	require.NoError(t, err)
	special := filetest.Special(t)
	special["/dev/null"] = "a device"
	for path, kind := range special {
		t.Run(path, func(t *testing.T) {
			want := "tokenfile: " + path + " is " + kind + ", not a regular file"
			filetest.Within(t, func() {
				_, err := tokenfile.Read(path)
				assert.EqualError(t, err, want)
				_, err = tokenfile.Reread(path, previous)
				assert.EqualError(t, err, want)
			})
		})
	}
}

// On Windows, the error of a path below a file is also that of a missing directory.
func TestReadRejectsPathBelowFileWithoutRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := tokenfile.Read(filepath.Join(write(t, tokenFor("s")), "token"))
		require.ErrorIs(t, err, syscall.ENOTDIR)
		require.NotErrorIs(t, err, tokenfile.ErrMalformed)
		assert.Zero(t, time.Since(start))
	})
}

func TestReadDoesNotBlockWhileFilesAreSwapped(t *testing.T) {
	t.Parallel()
	raw := withClaims(kubernetes)
	file := write(t, raw)
	previous, err := tokenfile.Read(file)
	require.NoError(t, err)
	for _, tt := range []struct {
		name string
		read func(path string) (tokenfile.Token, error)
	}{
		{"Read", tokenfile.Read},
		{"Reread", func(path string) (tokenfile.Token, error) { return tokenfile.Reread(path, previous) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			filetest.Swap(t, file, testsize.Choose(500, 2_000, 10_000), func(path string) error {
				token, err := tt.read(path)
				if err == nil {
					assert.Equal(t, raw, token.Reveal())
				}
				return err
			})
		})
	}
}
