package tokenfile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/tokenfile"
)

// volume is a directory that is written as the kubelet writes a projected volume:
// a link to ..data/token, where ..data is a link to a directory for each payload.
type volume struct{ dir string }

func (v volume) path() string { return filepath.Join(v.dir, "token") }

// swap writes a new directory, renames a link to it over ..data, and removes the
// old directory, in the order of pkg/volume/util/atomic_writer.go.
func (v volume) swap(t *testing.T, text string) {
	t.Helper()
	data, link := filepath.Join(v.dir, "..data"), filepath.Join(v.dir, "..data_tmp")
	old, _ := os.Readlink(data)
	fresh, err := os.MkdirTemp(v.dir, "..2026_01_01_00_00_00.")
	require.NoError(t, err)
	rewrite(t, filepath.Join(fresh, "token"), text)
	require.NoError(t, os.Symlink(filepath.Base(fresh), link))
	require.NoError(t, os.Rename(link, data))
	if old == "" {
		require.NoError(t, os.Symlink(filepath.Join("..data", "token"), v.path()))
		return
	}
	require.NoError(t, os.RemoveAll(filepath.Join(v.dir, old)))
}

// numbered returns the token of that number. No two are of one length, or alike in
// any part, so that one made of two would be noticed.
func numbered(n int) string {
	number := fmt.Sprintf("%06d", n)
	return withClaims(`{"sub":"` + number + `","pad":"` + strings.Repeat(number+"-", 80+n%50) + `"}`)
}

// follow calls Read at that pace while change runs, and tells see of each result and
// the number of its token.
func follow(path string, pace time.Duration, change func(), see func(n int, token tokenfile.Token, err error)) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				token, err := tokenfile.Read(path)
				n, _ := strconv.Atoi(strings.TrimLeft(token.Claims().Subject, "0"))
				see(n, token, err)
				select {
				case <-done:
					return
				case <-time.After(pace):
				}
			}
		})
	}
	change()
	close(done)
	wg.Wait()
}

func TestReadSurvivesTheKubeletsSwaps(t *testing.T) {
	v := volume{t.TempDir()}
	v.swap(t, numbered(0))
	var reads atomic.Int64
	swap := func() {
		for n := range 20_000 {
			v.swap(t, numbered(n))
		}
	}
	follow(v.path(), 10*time.Microsecond, swap, func(n int, token tokenfile.Token, err error) {
		reads.Add(1)
		assert.NoError(t, err)
		assert.Equal(t, numbered(n), token.Reveal(), "a whole token")
	})
	t.Log(reads.Load(), "reads")
	assert.Greater(t, reads.Load(), int64(1000))
}

// The kubelet never writes so, but a copy or a sidecar may.
func TestReadSeldomSeesHalfATokenOfAWriterThatTruncates(t *testing.T) {
	path := write(t, numbered(0))
	var whole, torn, failed atomic.Int64
	rewriteOften := func() {
		for n := range 2000 {
			rewrite(t, path, numbered(n))
			time.Sleep(500 * time.Microsecond)
		}
	}
	follow(path, 0, rewriteOften, func(n int, token tokenfile.Token, err error) {
		switch {
		case err != nil:
			failed.Add(1) // it met a file being written four times in a row
			assert.ErrorIs(t, err, tokenfile.ErrMalformed)
		case token.Reveal() == numbered(n):
			whole.Add(1)
		default:
			torn.Add(1)
		}
	})
	t.Log(whole.Load(), "whole", torn.Load(), "torn", failed.Load(), "failed")
	assert.Positive(t, whole.Load())
	assert.LessOrEqual(t, torn.Load(), 3+whole.Load()/10_000)
}
