package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPutAndGetRoundTrip(t *testing.T) {
	s := newShop(t, unwrapped)
	_, err := s.run("put", s.write("new", "thank you"), objectURL)
	require.NoError(t, err)
	assert.Equal(t, "thank you", string(s.store.objects["/shop-receipts/a b/receipt+1.txt"]))
	_, err = s.run("get", objectURL, s.write("old", "sorry"))
	require.NoError(t, err)
	s.requireFiles(map[string]string{"new": "thank you", "old": "thank you"})
}

func TestPutAndGetEmptyFile(t *testing.T) {
	s := newShop(t, unwrapped)
	_, err := s.run("put", s.write("empty", ""), objectURL)
	require.NoError(t, err)
	_, err = s.run("get", objectURL, s.path("copy"))
	require.NoError(t, err)
	s.requireFiles(map[string]string{"empty": "", "copy": ""})
}

func TestPutAndGetReportMissingSource(t *testing.T) {
	s := newShop(t, unwrapped)
	_, err := s.run("put", s.path("none"), objectURL)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = s.run("get", objectURL, s.write("old", "sorry"))
	var none *types.NoSuchKey
	require.ErrorAs(t, err, &none)
	require.ErrorContains(t, err, "s3: get "+objectURL)
	s.requireFiles(map[string]string{"old": "sorry"})
}

// Without the check, a named pipe would block the program. Unlike a named pipe, a device exists on
// every system.
func TestPutRequiresRegularFile(t *testing.T) {
	s := newShop(t, unwrapped)
	_, err := s.run("put", os.DevNull, objectURL)
	require.ErrorContains(t, err, "s3: "+os.DevNull)
	assert.Empty(t, s.store.objects)
}

func TestGetRequiresExistingDirectory(t *testing.T) {
	s := newShop(t, unwrapped)
	_, err := s.run("put", s.write("f", "thank you"), objectURL)
	require.NoError(t, err)
	_, err = s.run("get", objectURL, s.path("none/f"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = s.run("get", objectURL, s.dir)
	require.Error(t, err)
	s.requireFiles(map[string]string{"f": "thank you"})
}

// writeHalf writes the first half of a body with the Content-Length of the full body.
func writeHalf(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "18")
	_, _ = io.WriteString(w, "thank you")
	_ = http.NewResponseController(w).Flush()
}

func TestGetKeepsOldFileOnFailure(t *testing.T) {
	s := newShop(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			writeHalf(w)
			panic(http.ErrAbortHandler)
		})
	})
	_, err := s.run("get", objectURL, s.write("old", "sorry"))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	s.requireFiles(map[string]string{"old": "sorry"})
}

func TestGetKeepsOldFileOnInterrupt(t *testing.T) {
	s := newShop(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			writeHalf(w)
			<-r.Context().Done()
		})
	})
	child := exec.CommandContext(t.Context(), os.Args[0], "get", objectURL, s.write("old", "sorry"), "-path-style")
	child.Env = append(s.pod.Environ(), asMain+"=1", "AWS_ENDPOINT_URL_S3="+s.server)
	var stderr strings.Builder
	child.Stderr = &stderr
	require.NoError(t, child.Start())
	require.Eventually(t, func() bool { // until the first half is in a temporary file
		partial, err := filepath.Glob(s.path(".old.*"))
		return err == nil && len(partial) == 1
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, child.Process.Signal(os.Interrupt))
	var exit *exec.ExitError
	require.ErrorAs(t, child.Wait(), &exit)
	assert.Equal(t, 1, exit.ExitCode())
	assert.Contains(t, stderr.String(), "s3: get "+objectURL)
	s.requireFiles(map[string]string{"old": "sorry"})
}

// A command's credentials are always new, so a rejection does not lead to a second attempt with
// different credentials.
func TestCommandReportsRejectedNewCredentials(t *testing.T) {
	var requests atomic.Int32
	s := newShop(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			requests.Add(1)
			writeError(w, http.StatusBadRequest, "ExpiredToken", "The provided token has expired.")
		})
	})
	_, err := s.run("put", s.write("new", "thank you"), objectURL)
	require.ErrorContains(t, err, "ExpiredToken")
	assert.EqualValues(t, 1, requests.Load())
	assert.Equal(t, 1, s.kit.STS.CallCount())
}

// A handler replaces the store, because the store would keep the object in memory.
func TestPutAndGetUseConstantMemory(t *testing.T) {
	const size, maxAlloc = 64 << 20, 16 << 20
	s := newShop(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			if r.Method == http.MethodPut {
				assert.EqualValues(t, size, n)
				return
			}
			w.Header().Set("Content-Length", strconv.Itoa(size))
			block := make([]byte, 64<<10)
			for range size / len(block) {
				_, _ = w.Write(block)
			}
		})
	})
	require.NoError(t, os.Truncate(s.write("big", ""), size))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := s.run("put", s.path("big"), objectURL)
	require.NoError(t, err)
	_, err = s.run("get", objectURL, s.path("copy"))
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(maxAlloc))
	copied, err := os.Stat(s.path("copy"))
	require.NoError(t, err)
	assert.EqualValues(t, size, copied.Size())
}
