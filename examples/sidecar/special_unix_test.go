//go:build unix

package main

import (
	"errors"
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
			want := "authorization token not usable: " + path + " is " + kind + ", not a regular file"
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

// untrusted are modifications of a token file in a directory. The file elsewhere is in the parent
// directory.
var untrusted = []struct {
	name  string
	make  func(directory, file string) error
	wrong string // part of the error, or empty if the file is accepted
}{
	{"mode 0600", func(_, file string) error { return os.Chmod(file, 0o600) }, ""},
	{"mode 0640", func(_, file string) error { return os.Chmod(file, 0o640) }, ""},
	{"mode 0400", func(_, file string) error { return os.Chmod(file, 0o400) }, ""},
	{"readable for others", func(_, file string) error { return os.Chmod(file, 0o644) }, "others can read or change the token"},
	{"writable for the group", func(_, file string) error { return os.Chmod(file, 0o660) }, "others can read or change the token"},
	{"writable for others", func(_, file string) error { return os.Chmod(file, 0o602) }, "others can read or change the token"},
	{"another user", func(_, file string) error { return os.Chown(file, 4711, -1) }, "belongs to the user 4711"},
	{"link to elsewhere", func(directory, file string) error {
		return errors.Join(os.Remove(file), os.Symlink(filepath.Join(filepath.Dir(directory), "elsewhere"), file))
	}, "is a symbolic link"},
	{"link to a directory above", func(_, file string) error { return errors.Join(os.Remove(file), os.Symlink("../elsewhere", file)) }, "is a symbolic link"},
	{"link to a device", func(_, file string) error { return errors.Join(os.Remove(file), os.Symlink("/dev/zero", file)) }, "is a symbolic link"},
	{"link to itself", func(_, file string) error { return errors.Join(os.Remove(file), os.Symlink("token", file)) }, "is a symbolic link"},
	{"links of the kubelet", func(directory, file string) error {
		version := filepath.Join(directory, "..2026")
		return errors.Join(os.Mkdir(version, 0o700), os.Rename(file, filepath.Join(version, "token")),
			os.Symlink("..2026", filepath.Join(directory, "..data")), os.Symlink("..data/token", file))
	}, ""},
}

func TestAuthorizationRejectsUntrustedFiles(t *testing.T) {
	token := strings.Repeat("x", 32)
	for _, tt := range untrusted {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "another user" && os.Geteuid() != 0 {
				t.Skip("only root can give a file away")
			}
			directory := filepath.Join(t.TempDir(), "directory")
			file := filepath.Join(directory, "token")
			require.NoError(t, os.Mkdir(directory, 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(directory), "elsewhere"), []byte(token), 0o600))
			require.NoError(t, os.WriteFile(file, []byte(token), 0o600))
			require.NoError(t, tt.make(directory, file))
			got, err := authorization{file}.read()
			prepared := authorization{file}.prepare(true)
			if tt.wrong == "" {
				require.NoError(t, errors.Join(err, prepared))
				assert.Equal(t, token, got)
				info, err := os.Stat(file)
				require.NoError(t, err)
				assert.Equal(t, os.FileMode(0o640), info.Mode().Perm())
				return
			}
			require.ErrorContains(t, err, tt.wrong)
			require.ErrorContains(t, prepared, tt.wrong)
		})
	}
}

// The mode of a file of a read-only volume cannot be changed.
func TestAuthorizationPrepareChangesModeOnlyIfReadersChange(t *testing.T) {
	for _, tt := range []struct {
		mode       os.FileMode
		groupReads bool
		want       os.FileMode
	}{
		{0o400, false, 0o400}, {0o440, true, 0o440}, {0o600, false, 0o600}, {0o640, true, 0o640},
		{0o400, true, 0o640}, {0o600, true, 0o640}, {0o440, false, 0o600}, {0o640, false, 0o600},
	} {
		file := filepath.Join(t.TempDir(), "token")
		require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("x", 32)), 0o600))
		require.NoError(t, os.Chmod(file, tt.mode))
		require.NoError(t, authorization{file}.prepare(tt.groupReads))
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, tt.want, info.Mode().Perm(), tt)
	}
}

func TestAuthorizationRejectsNamedPipeAsDirectory(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	filetest.Within(t, func() {
		_, err := authorization{filepath.Join(pipe, "token")}.read()
		assert.ErrorContains(t, err, "authorization token not usable")
	})
}

func TestProcessRejectsNamedPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "token")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	filetest.Within(t, func() {
		output, err := newProcess(t, pipe).CombinedOutput()
		assert.Error(t, err)
		assert.Contains(t, string(output), "is a named pipe, not a regular file")
	})
}

func TestAuthorizationDoesNotBlockWhileFilesAreSwapped(t *testing.T) {
	directory := t.TempDir()
	file, next := filepath.Join(directory, "token"), filepath.Join(directory, "next")
	want := strings.Repeat("secret", 4)
	require.NoError(t, os.WriteFile(file, []byte(want), 0o600))
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	require.NoError(t, os.WriteFile(elsewhere, []byte(strings.Repeat("other", 8)), 0o600))
	makers := []func() error{
		func() error { return syscall.Mkfifo(next, 0o600) },
		func() error { return os.WriteFile(next, []byte(want), 0o600) },
		func() error { return os.Symlink(elsewhere, next) },
		func() error { return os.WriteFile(next, []byte(want), 0o600) },
		func() error { return os.Symlink("/dev/zero", next) },
		func() error { return os.WriteFile(next, []byte(want), 0o600) },
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				assert.NoError(t, errors.Join(makers[i%len(makers)](), os.Rename(next, file)))
			}
		}
	}()
	filetest.Within(t, func() {
		for range testsize.Choose(500, 2_000, 10_000) {
			if got, err := (authorization{file}).read(); err == nil {
				assert.Equal(t, want, got)
			}
		}
	})
	close(stop)
	<-stopped
}

func TestEndpointAnswersWhileTokenIsNamedPipe(t *testing.T) {
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
