//go:build unix

package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/filetest"
	"github.com/irsakit/irsakit/internal/test/testsize"
)

func TestAuthorizationRejectsSpecialFiles(t *testing.T) {
	for path, kind := range filetest.Special(t) {
		t.Run(kind, func(t *testing.T) {
			before, err := os.Stat(path)
			require.NoError(t, err)
			want := "the authorization token cannot be read: " + path + " is not a regular file but " + kind
			filetest.Within(t, func() {
				_, err := authorization{path}.read()
				assert.EqualError(t, err, want)
				assert.EqualError(t, authorization{path}.prepare(true), want)
			})
			after, err := os.Stat(path)
			require.NoError(t, err)
			assert.Equal(t, before.Mode(), after.Mode())
		})
	}
}

func TestAuthorizationDoesNotBlockWhileFilesAreSwapped(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	want := strings.Repeat("secret", 4)
	require.NoError(t, os.WriteFile(file, []byte(want), 0o600))
	filetest.Swap(t, file, testsize.Choose(500, 2_000, 10_000), func(path string) error {
		got, err := authorization{path}.read()
		if err == nil {
			assert.Equal(t, want, got)
		}
		return err
	})
}

func TestEndpointAnswersWhileTheTokenIsANamedPipe(t *testing.T) {
	r := newSidecar(t, 16)
	token := r.token(t)
	require.NoError(t, os.Remove(r.file))
	require.NoError(t, syscall.Mkfifo(r.file, 0o600))
	filetest.Within(t, func() {
		response, body := send(t, r.uri(), with(token))
		assert.Equal(t, http.StatusInternalServerError, response.StatusCode)
		assert.Contains(t, body, "AuthorizationTokenUnavailable")
	})
}
