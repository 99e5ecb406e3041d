//go:build unix

package main

import (
	"bufio"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/filetest"
)

// blockedPipe is a pipe for the output of a process. Once it is full, a write blocks until the test
// ends, as with a log driver that has stopped reading.
type blockedPipe struct{ reader, writer *os.File }

func newBlockedPipe(t *testing.T, process *exec.Cmd) blockedPipe {
	t.Helper()
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = reader.Close(), writer.Close() })
	process.Stdout, process.Stderr = writer, writer
	return blockedPipe{reader, writer}
}

// uri reads the log up to the address of the credentials.
func (p blockedPipe) uri() (uri string) {
	for lines := bufio.NewScanner(p.reader); uri == "" && lines.Scan(); {
		_, rest, _ := strings.Cut(lines.Text(), "uri=")
		uri, _, _ = strings.Cut(rest, " ")
	}
	return uri
}

func (p blockedPipe) fill(t *testing.T) {
	t.Helper()
	fd := int(p.writer.Fd())
	require.NoError(t, syscall.SetNonblock(fd, true))
	for _, size := range []int{4096, 1} {
		for err := error(nil); err == nil; {
			_, err = syscall.Write(fd, make([]byte, size))
		}
	}
	require.NoError(t, syscall.SetNonblock(fd, false))
}

// requireRequestsWhileTokenChanges makes the authorization token unusable and usable again. The request
// after each change is answered, although the process logs the change.
func requireRequestsWhileTokenChanges(t *testing.T, tokenFile, uri string) {
	t.Helper()
	token, err := os.ReadFile(tokenFile)
	require.NoError(t, err)
	for _, tt := range []struct {
		mode   os.FileMode
		status int
	}{{0o666, http.StatusInternalServerError}, {0o600, http.StatusOK}} {
		require.NoError(t, os.Chmod(tokenFile, tt.mode))
		filetest.Within(t, func() {
			response, _ := send(t, uri, with(string(token)))
			assert.Equal(t, tt.status, response.StatusCode)
		})
	}
}

func TestProcessServesAndEndsWithBlockedLog(t *testing.T) {
	tokenFile := filepath.Join(t.TempDir(), "token")
	process := newProcess(t, tokenFile)
	pipe := newBlockedPipe(t, process)
	require.NoError(t, process.Start())
	uri := pipe.uri()
	pipe.fill(t)

	for range 3 {
		response, _ := send(t, uri, with("guessed"))
		assert.Equal(t, http.StatusUnauthorized, response.StatusCode)
	}
	token, err := os.ReadFile(tokenFile)
	require.NoError(t, err)
	response, _ := send(t, uri, with(string(token)))
	assert.Equal(t, http.StatusOK, response.StatusCode)
	requireRequestsWhileTokenChanges(t, tokenFile, uri)

	require.NoError(t, process.Process.Signal(syscall.SIGTERM))
	require.NoError(t, process.Wait())
}

func TestProcessServesAfterReaderOfLogHasEnded(t *testing.T) {
	tokenFile := filepath.Join(t.TempDir(), "token")
	process := newProcess(t, tokenFile)
	pipe := newBlockedPipe(t, process)
	require.NoError(t, process.Start())
	uri := pipe.uri()
	require.NoError(t, errors.Join(pipe.reader.Close(), pipe.writer.Close()))

	for range 20 {
		requireRequestsWhileTokenChanges(t, tokenFile, uri)
	}
	require.NoError(t, process.Process.Signal(syscall.SIGTERM))
	require.NoError(t, process.Wait())
}

func TestProcessEndsIfErrorCannotBePrinted(t *testing.T) {
	process := newProcess(t, t.TempDir())
	newBlockedPipe(t, process).fill(t)
	require.Error(t, process.Run())
	assert.Equal(t, 1, process.ProcessState.ExitCode())
}
