package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testenv"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// TestMain runs the tests, or the command itself if SIDECAR is set.
func TestMain(m *testing.M) {
	if os.Getenv("SIDECAR") != "" {
		main()
		return
	}
	testenv.Clear()
	os.Exit(m.Run())
}

// newProcess returns a command that runs the sidecar on free ports.
func newProcess(t *testing.T, tokenFile string, arguments ...string) *exec.Cmd {
	t.Helper()
	k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback = true })
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	executable, err := os.Executable()
	require.NoError(t, err)
	const free = "127.0.0.1:0"
	process := exec.CommandContext(t.Context(), executable,
		append([]string{"-listen", free, "-health", free, "-metrics", free, "-token-file", tokenFile}, arguments...)...)
	process.Env = append(append(os.Environ(), pod.Environ()...), "SIDECAR=1")
	return process
}

func TestProcessRejectsUnusableSettings(t *testing.T) {
	directory := t.TempDir()
	open := filepath.Join(directory, "open")
	require.NoError(t, os.WriteFile(open, []byte(strings.Repeat("x", 32)), 0o600))
	require.NoError(t, os.Chmod(open, 0o666))
	for _, tt := range []struct {
		name, tokenFile string
		arguments       []string
		code            int
		want            string
	}{
		{"directory", directory, nil, 1, "is a directory, not a regular file"},
		{"no directory", filepath.Join(directory, "none", "token"), nil, 1, "no such file or directory; mount a volume at " + filepath.Join(directory, "none") + " that this user can write to, or set -token-file"},
		{"directory is a file", filepath.Join(open, "token"), nil, 1, "authorization token not usable"},
		{"writable for others", open, nil, 1, "has the mode -rw-rw-rw-"},
		{"old flag", filepath.Join(directory, "token"), []string{"-observe", ":9911"}, 2, "use -health and -metrics instead"},
		{"argument", filepath.Join(directory, "token"), []string{"-demo=false", "serve"}, 2, `unexpected argument "serve"`},
		{"empty token file", "", nil, 1, `"" is not the path of a file`},
		{"token file that is a directory", directory + string(filepath.Separator), nil, 1, "is not the path of a file"},
		{"other address", filepath.Join(directory, "token"), []string{"-listen", ":9910"}, 1, "is not a loopback address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && tt.code == 1 {
				t.Skip("other texts and modes")
			}
			output, err := newProcess(t, tt.tokenFile, tt.arguments...).CombinedOutput()
			var exitErr *exec.ExitError
			require.ErrorAs(t, err, &exitErr, string(output))
			assert.Equal(t, tt.code, exitErr.ExitCode())
			assert.Contains(t, string(output), tt.want)
		})
	}
}

func TestProcessEndsOnSignal(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals")
	}
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			process := newProcess(t, filepath.Join(t.TempDir(), "token"))
			stderr, err := process.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, process.Start())
			lines := bufio.NewScanner(stderr)
			serving := regexp.MustCompile("serving credentials")
			for lines.Scan() && !serving.MatchString(lines.Text()) {
			}
			require.NoError(t, process.Process.Signal(signal))
			for lines.Scan() {
			}
			require.NoError(t, process.Wait())
		})
	}
}

func TestWaitEndsEvenIfProgramHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		ended <- os.ErrClosed
		require.ErrorIs(t, wait(t.Context(), ended, time.Minute), os.ErrClosed)

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		require.EqualError(t, wait(ctx, ended, time.Minute), "still running 1m0s after the signal")
		assert.Equal(t, time.Minute+time.Second, time.Since(start))

		time.AfterFunc(time.Second, func() { ended <- nil })
		require.NoError(t, wait(ctx, ended, time.Minute))
	})
}
