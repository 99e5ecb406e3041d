package main

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTokenFileIsPrivateAndRereadPerRequest(t *testing.T) {
	r := newSidecar(t, 16)
	first := r.token(t)
	assert.Len(t, first, 52)
	info, err := os.Stat(r.file)
	require.NoError(t, err)
	assert.Equal(t, "-rw-------", info.Mode().String())

	second := strings.Repeat("second", 4)
	require.NoError(t, os.WriteFile(r.file, []byte(second+"\n"), 0o600))
	response, _ := send(t, r.uri(), with(first))
	assert.Equal(t, http.StatusUnauthorized, response.StatusCode)
	response, _ = send(t, r.uri(), with(second))
	assert.Equal(t, http.StatusOK, response.StatusCode)

	for _, broken := range []string{"", "short", strings.Repeat("x", maxToken+1)} {
		require.NoError(t, os.WriteFile(r.file, []byte(broken), 0o600))
		response, body := send(t, r.uri(), with(broken))
		assert.NotEqual(t, http.StatusOK, response.StatusCode)
		assert.NotContains(t, body, "ASIA")
	}
}

func TestPrepareKeepsExistingToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	a := authorization{file}
	require.NoError(t, a.prepare(true))
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, "-rw-r-----", info.Mode().String())
	first, err := a.read()
	require.NoError(t, err)
	require.NoError(t, a.prepare(false))
	second, err := a.read()
	require.NoError(t, err)
	assert.Equal(t, first, second)
	require.NoError(t, os.WriteFile(file, []byte("short"), 0o600))
	require.ErrorContains(t, a.prepare(false), "has 5 characters")
	entries, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	assert.Len(t, entries, 1, "no temporary file is left")
}

func TestReadNamesMissingToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	_, err := authorization{file}.read()
	require.ErrorContains(t, err, file+": ")
	require.ErrorContains(t, err, "restart the sidecar")
}

func TestCreateAdvisesVolume(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{{syscall.EROFS, true}, {syscall.EACCES, true}, {syscall.ENOENT, true}, {syscall.ENOSPC, false}} {
		err := createError(&fs.PathError{Op: "open", Path: "/run/x/.token-1", Err: tt.err}, "/run/x")
		require.ErrorIs(t, err, tt.err)
		assert.Equal(t, tt.want, strings.HasSuffix(err.Error(), "; mount a volume at /run/x that this user can write to, or set -token-file"), err)
	}
}

func TestAuthorizationRejectsUnsendableToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	half := strings.Repeat("x", minToken)
	for text, want := range map[string]bool{
		half + "\n" + half + "\n": false, // as written by base64 and openssl
		half + "\x00":             false,
		half + " \n":              false,
		"\t" + half:               false,
		"Basic " + half + "\n":    true,
	} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		err := authorization{file}.prepare(false)
		if want {
			require.NoError(t, err, "%q", text)
			continue
		}
		require.ErrorContains(t, err, "no header can contain", "%q", text)
	}
}

func TestAuthorizationRejectsLargeFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	token := strings.Repeat("x", maxToken)
	for _, tt := range []struct {
		name, text string
		size       int64
		want       string // the error, or empty if none
	}{
		{"longest token with CR LF", token + "\r\n", maxToken + 2, ""},
		{"token one byte too long", token + "x", maxToken + 1, "has 4097 characters; a token has 16 to 4096"},
		{"second line", token + "\nsecond", maxToken + 7, "is larger than 4098 bytes; a token has 16 to 4096 characters"},
		{"1 GiB", token, 1 << 30, "is larger than 4098 bytes; a token has 16 to 4096 characters"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(file, []byte(tt.text), 0o600))
			require.NoError(t, os.Truncate(file, tt.size)) // a sparse file
			got, err := authorization{file}.read()
			if tt.want == "" {
				require.NoError(t, err)
				require.Equal(t, token, got)
				require.NoError(t, authorization{file}.prepare(false))
				return
			}
			require.EqualError(t, err, file+" "+tt.want)
			require.EqualError(t, authorization{file}.prepare(false), file+" "+tt.want)
		})
	}
}
