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

func TestAFileGoesUpAndComesBack(t *testing.T) {
	s := newShop(t, nothing)
	_, err := s.run("put", s.write("new", "thank you"), there)
	require.NoError(t, err)
	assert.Equal(t, "thank you", string(s.store.objects["/shop-receipts/a b/receipt+1.txt"]))
	_, err = s.run("get", there, s.write("old", "sorry"))
	require.NoError(t, err)
	s.requireFiles(map[string]string{"new": "thank you", "old": "thank you"})
}

func TestAnEmptyFileIsAFile(t *testing.T) {
	s := newShop(t, nothing)
	_, err := s.run("put", s.write("empty", ""), there)
	require.NoError(t, err)
	_, err = s.run("get", there, s.path("copy"))
	require.NoError(t, err)
	s.requireFiles(map[string]string{"empty": "", "copy": ""})
}

func TestWhatIsNotThereIsAnError(t *testing.T) {
	s := newShop(t, nothing)
	_, err := s.run("put", s.path("none"), there)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = s.run("get", there, s.write("old", "sorry"))
	var none *types.NoSuchKey
	require.ErrorAs(t, err, &none)
	require.ErrorContains(t, err, "s3: get "+there)
	s.requireFiles(map[string]string{"old": "sorry"})
}

func TestTheFolderOfAFileHasToBeThere(t *testing.T) {
	s := newShop(t, nothing)
	_, err := s.run("put", s.write("f", "thank you"), there)
	require.NoError(t, err)
	_, err = s.run("get", there, s.path("none/f"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = s.run("get", there, s.dir)
	require.Error(t, err)
	s.requireFiles(map[string]string{"f": "thank you"})
}

// half answers with the first half of a body and an announced length of all of it.
func half(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "18")
	_, _ = io.WriteString(w, "thank you")
	_ = http.NewResponseController(w).Flush()
}

func TestAFailedDownloadLeavesTheOldFile(t *testing.T) {
	s := newShop(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			half(w)
			panic(http.ErrAbortHandler)
		})
	})
	_, err := s.run("get", there, s.write("old", "sorry"))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	s.requireFiles(map[string]string{"old": "sorry"})
}

func TestAnInterruptEndsADownloadAndLeavesTheOldFile(t *testing.T) {
	s := newShop(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			half(w)
			<-r.Context().Done()
		})
	})
	child := exec.CommandContext(t.Context(), os.Args[0], "get", there, s.write("old", "sorry"), "-path-style")
	child.Env = append(s.pod.Environ(), asMain+"=1", "AWS_ENDPOINT_URL_S3="+s.server)
	var said strings.Builder
	child.Stderr = &said
	require.NoError(t, child.Start())
	require.Eventually(t, func() bool { // until the half is in a file beside the old one
		halves, err := filepath.Glob(s.path(".old.*"))
		return err == nil && len(halves) == 1
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, child.Process.Signal(os.Interrupt))
	var exit *exec.ExitError
	require.ErrorAs(t, child.Wait(), &exit)
	assert.Equal(t, 1, exit.ExitCode())
	assert.Contains(t, said.String(), "s3: get "+there)
	s.requireFiles(map[string]string{"old": "sorry"})
}

// A command's credentials are new: a store that rejects them would reject others too.
func TestCommandReportsThatS3RejectedItsNewCredentials(t *testing.T) {
	var requests atomic.Int32
	s := newShop(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			requests.Add(1)
			refuse(w, http.StatusBadRequest, "ExpiredToken", "The provided token has expired.")
		})
	})
	_, err := s.run("put", s.write("new", "thank you"), there)
	require.ErrorContains(t, err, "ExpiredToken")
	assert.EqualValues(t, 1, requests.Load())
	assert.Equal(t, 1, s.kit.STS.CallCount())
}

// The store would hold the object, so another one stands in for it.
func TestMemoryDoesNotGrowWithTheObject(t *testing.T) {
	const size, most = 64 << 20, 16 << 20
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
	_, err := s.run("put", s.path("big"), there)
	require.NoError(t, err)
	_, err = s.run("get", there, s.path("copy"))
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(most))
	copied, err := os.Stat(s.path("copy"))
	require.NoError(t, err)
	assert.EqualValues(t, size, copied.Size())
}
