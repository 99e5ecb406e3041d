//go:build unix

package tokenfile_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/internal/test/filetest"
	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/tokenfile"
)

// numbered returns the nth token. Tokens differ in their claims and signatures, and
// consecutive tokens differ in length, so that the test detects a mixture of two.
func numbered(n int) string {
	number := fmt.Sprintf("%06d", n)
	return withClaims(`{"sub":"` + number + `","pad":"` + strings.Repeat(number+"-", 80+n%50) + `"}`)
}

// follow calls Read in two goroutines, with pauses between the calls, until change
// returns. It passes each result and the number of the token to check.
func follow(path string, pause time.Duration, change func(), check func(n int, token tokenfile.Token, err error)) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				token, err := tokenfile.Read(path)
				n, _ := strconv.Atoi(strings.TrimLeft(token.Claims().Subject, "0"))
				check(n, token, err)
				select {
				case <-done:
					return
				case <-time.After(pause):
				}
			}
		})
	}
	change()
	close(done)
	wg.Wait()
}

func TestReadSurvivesKubeletSwaps(t *testing.T) {
	t.Parallel()
	v := volume{filetest.Tmpfs(t)}
	v.swap(t, numbered(0))
	var reads atomic.Int64
	swap := func() {
		for n := 0; n < testsize.Choose(300, 2_000, 20_000) || reads.Load() < 500; n++ {
			v.swap(t, numbered(n))
		}
	}
	follow(v.path(), 10*time.Microsecond, swap, func(n int, token tokenfile.Token, err error) {
		reads.Add(1)
		assert.NoError(t, err)
		assert.Equal(t, numbered(n), token.Reveal(), "a whole token")
	})
	assert.GreaterOrEqual(t, reads.Load(), int64(500))
}

// The kubelet never writes this way, but cp or a sidecar may.
func TestReadRarelyReturnsTornToken(t *testing.T) {
	t.Parallel()
	path := write(t, numbered(0))
	var whole, torn, failed atomic.Int64
	rewriteOften := func() {
		for n := range testsize.Choose(200, 500, 2_000) {
			rewrite(t, path, numbered(n))
			time.Sleep(500 * time.Microsecond)
		}
	}
	follow(path, 0, rewriteOften, func(n int, token tokenfile.Token, err error) {
		switch {
		case err != nil:
			failed.Add(1) // four reads in a row found a half-written file
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
