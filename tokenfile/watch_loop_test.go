package tokenfile_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/tokenfile"
)

func TestWatchStopsWhenLoopBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, path := range []string{write(t, tokenFor("first")), t.TempDir()} { // after a token, after an error
			var got []result
			for token, err := range tokenfile.Watch(t.Context(), path) {
				got = append(got, result{token: token.Claims().Subject, err: err})
				break
			}
			assert.Len(t, got, 1)
		}
	})
}

func TestWatchStopsWhenContextIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := write(t, tokenFor("first"))
		ctx, cancel := context.WithCancelCause(t.Context())
		after(t, 90*time.Second, func() { cancel(errors.New("enough")) })
		start, n := time.Now(), 0
		for _, err := range tokenfile.Watch(ctx, path) {
			assert.NoError(t, err)
			n++
		}
		assert.Equal(t, 90*time.Second, time.Since(start))
		for _, err := range tokenfile.Watch(ctx, path) { // ctx is already done
			assert.NoError(t, err)
			n++
		}
		assert.Equal(t, 1, n)
	})
}

func TestWatchWaitsForLoopBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := write(t, tokenFor("first"))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		start := time.Now()
		var got []result
		for token, err := range tokenfile.Watch(ctx, path) {
			got = append(got, result{time.Since(start), token.Claims().Subject, err})
			if len(got) == 2 {
				cancel() // nothing more is yielded
			}
			rewrite(t, path, tokenFor("second"))
			time.Sleep(time.Hour)
			rewrite(t, path, tokenFor("third"))
		}
		assert.Equal(t, []result{{0, "first", nil}, {time.Hour + time.Minute, "third", nil}}, got)
	})
}

func TestWatchLoopsAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := write(t, tokenFor("first"))
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		after(t, 30*time.Second, func() { rewrite(t, path, tokenFor("second")) })
		tokens := tokenfile.Watch(ctx, path)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				var got []string
				for token, err := range tokens {
					assert.NoError(t, err)
					got = append(got, token.Claims().Subject)
				}
				assert.Equal(t, []string{"first", "second"}, got)
			})
		}
		wg.Wait()
	})
}

func TestWatchStartsNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours := func() int { // the number of goroutines in the package
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			n := 0
			for stack := range strings.SplitSeq(string(stacks), "\n\n") {
				if strings.Contains(stack, "irsakit/tokenfile.") {
					n++
				}
			}
			return n
		}
		ctx, cancel := context.WithCancel(t.Context())
		tokens := tokenfile.Watch(ctx, write(t, tokenFor("first")))
		assert.Zero(t, ours(), "before the loop")
		waited := false
		after(t, 30*time.Second, func() {
			waited = true
			assert.Equal(t, 1, ours(), "the loop's own, while it waits")
			cancel()
		})
		for _, err := range tokens {
			assert.NoError(t, err)
			assert.Equal(t, 1, ours(), "the loop's own, in its body")
		}
		assert.True(t, waited)
		assert.Zero(t, ours(), "after the loop")
	})
}
