package tokenfile_test

import (
	"context"
	"io/fs"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/tokenfile"
)

// result is a result of a watch and the time since the watch started.
type result struct {
	at    time.Duration
	token string // the subject
	err   error
}

// watch watches the file at path for the given time and returns all results.
func watch(t *testing.T, path string, length time.Duration, optFns ...func(*tokenfile.WatchOptions)) (all []result) {
	t.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	for token, err := range tokenfile.Watch(ctx, path, optFns...) {
		all = append(all, result{time.Since(start), token.Claims().Subject, err})
	}
	assert.Equal(t, length, time.Since(start), "it ends with its context")
	return all
}

// after runs change after d.
func after(t *testing.T, d time.Duration, change func()) {
	t.Helper()
	timer := time.AfterFunc(d, change)
	t.Cleanup(func() { timer.Stop() })
}

func every(d time.Duration) func(*tokenfile.WatchOptions) {
	return func(o *tokenfile.WatchOptions) { o.Interval = func() time.Duration { return d } }
}

func TestWatchYieldsTokenAndEachChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := write(t, tokenFor("first"))
		after(t, 90*time.Second, func() { rewrite(t, path, tokenFor("second")) })
		after(t, 200*time.Second, func() { rewrite(t, path, tokenFor("third")) })
		after(t, 210*time.Second, func() { rewrite(t, path, tokenFor("fourth")) }) // the third was never polled
		after(t, 310*time.Second, func() { rewrite(t, path, tokenFor("first")) })  // counts as a change
		assert.Equal(t, []result{
			{0, "first", nil},
			{2 * time.Minute, "second", nil},
			{4 * time.Minute, "fourth", nil},
			{6 * time.Minute, "first", nil},
		}, watch(t, path, 550*time.Second))
	})
}

func TestWatchDoesNotYieldKnownToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known, err := tokenfile.Parse(tokenFor("known"))
		require.NoError(t, err)
		path := write(t, tokenFor("other"))
		after(t, 30*time.Second, func() { rewrite(t, path, tokenFor("known")) })
		after(t, 90*time.Second, func() { rewrite(t, path, tokenFor("next")) })
		after(t, 210*time.Second, func() { rewrite(t, path, tokenFor("known")) })
		assert.Equal(t, []result{
			{2 * time.Minute, "next", nil},
			{4 * time.Minute, "known", nil},
		}, watch(t, path, 270*time.Second, func(o *tokenfile.WatchOptions) { o.Known = known }))
	})
}

func TestWatchIgnoresEqualContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := volume{t.TempDir()}
		v.swap(t, tokenFor("first"))
		after(t, 30*time.Second, func() { v.swap(t, tokenFor("first")) }) // another directory and inode
		after(t, 90*time.Second, func() { rewrite(t, v.path(), tokenFor("first")+"\n") })
		after(t, 150*time.Second, func() { assert.NoError(t, os.Chtimes(v.path(), time.Now(), time.Now())) })
		assert.Equal(t, []result{{0, "first", nil}}, watch(t, v.path(), time.Hour+time.Second))
	})
}

func TestWatchSeesKubeletSwap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := volume{t.TempDir()}
		v.swap(t, tokenFor("first"))
		after(t, 30*time.Second, func() { v.swap(t, tokenFor("second")) })
		after(t, 90*time.Second, func() { v.swap(t, tokenFor("third")) })
		assert.Equal(t, []result{
			{0, "first", nil}, {time.Minute, "second", nil}, {2 * time.Minute, "third", nil},
		}, watch(t, v.path(), 150*time.Second))
	})
}

func TestWatchYieldsErrorOnceThenToken(t *testing.T) {
	const retries = 30 * time.Millisecond // how long Read retries a bad file
	for _, tt := range []struct {
		name    string
		replace func(t *testing.T, path string)
		want    error
	}{
		{"missing file", func(t *testing.T, path string) { assert.NoError(t, os.Remove(path)) }, fs.ErrNotExist},
		{"empty file", func(t *testing.T, path string) { rewrite(t, path, "") }, tokenfile.ErrMalformed},
	} {
		for _, back := range []string{"first", "second"} {
			t.Run(tt.name+", and then the "+back+" token", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					path := write(t, tokenFor("first"))
					after(t, 30*time.Second, func() { tt.replace(t, path) })
					after(t, 10*time.Minute-time.Second, func() { rewrite(t, path, tokenFor(back)) })
					got := watch(t, path, time.Hour+time.Second)
					require.Len(t, got, 3)
					assert.Equal(t, result{0, "first", nil}, got[0])
					assert.Equal(t, time.Minute+retries, got[1].at)
					assert.Empty(t, got[1].token)
					require.ErrorIs(t, got[1].err, tt.want)
					assert.Equal(t, result{10*time.Minute + 9*retries, back, nil}, got[2])
				})
			})
		}
	}
}

func TestWatchYieldsInitialError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := write(t, "no token")
		after(t, time.Minute, func() { assert.NoError(t, os.Remove(path)) }) // another error is not yielded
		after(t, 3*time.Minute, func() { rewrite(t, path, tokenFor("first")) })
		got := watch(t, path, 10*time.Minute)
		require.Len(t, got, 2)
		require.ErrorIs(t, got[0].err, tokenfile.ErrMalformed)
		assert.Equal(t, "first", got[1].token)
		assert.NoError(t, got[1].err)
	})
}

func TestWatchPollsAtInterval(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts []func(*tokenfile.WatchOptions)
		want time.Duration
	}{
		{"by default", nil, time.Minute},
		{"with no interval", []func(*tokenfile.WatchOptions){every(0)}, time.Minute},
		{"with a negative interval", []func(*tokenfile.WatchOptions){every(-time.Second)}, time.Minute},
		{"with a short interval", []func(*tokenfile.WatchOptions){every(time.Second)}, time.Second},
		{"with a long interval", []func(*tokenfile.WatchOptions){every(time.Hour)}, time.Hour},
		{"with two, of which the last counts", []func(*tokenfile.WatchOptions){every(time.Hour), every(time.Second)}, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := write(t, tokenFor("first"))
				after(t, time.Millisecond, func() { rewrite(t, path, tokenFor("second")) })
				after(t, tt.want+time.Millisecond, func() { rewrite(t, path, tokenFor("third")) })
				assert.Equal(t, []result{
					{0, "first", nil}, {tt.want, "second", nil}, {2 * tt.want, "third", nil},
				}, watch(t, path, 10*tt.want+time.Millisecond, tt.opts...))
			})
		})
	}
}

func TestWatchCallsIntervalAfterEachPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []time.Duration
		start := time.Now()
		watch(t, write(t, tokenFor("first")), 68*time.Second, func(o *tokenfile.WatchOptions) {
			o.Interval = func() time.Duration {
				asked = append(asked, time.Since(start))
				return []time.Duration{time.Second, 0, 5 * time.Second, time.Hour}[len(asked)-1]
			}
		})
		assert.Equal(t, []time.Duration{0, time.Second, 61 * time.Second, 66 * time.Second}, asked)
	})
}

func TestWatchPollsOnRecheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := write(t, tokenFor("first"))
		recheck := make(chan struct{}, 1)
		after(t, 10*time.Second, func() {
			rewrite(t, path, tokenFor("second"))
			recheck <- struct{}{}
		})
		after(t, 20*time.Second, func() { recheck <- struct{}{} }) // nothing has changed
		after(t, 30*time.Second, func() { rewrite(t, path, tokenFor("third")) })
		assert.Equal(t, []result{
			{0, "first", nil}, {10 * time.Second, "second", nil}, {80 * time.Second, "third", nil},
		}, watch(t, path, 5*time.Minute, func(o *tokenfile.WatchOptions) { o.Recheck = recheck }))
	})
}

func TestWatchPollsOnceWhenRecheckIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := write(t, tokenFor("first"))
		recheck := make(chan struct{})
		close(recheck)
		var polls int
		tokens := tokenfile.Watch(t.Context(), path, func(o *tokenfile.WatchOptions) {
			o.Recheck = recheck
			o.Interval = func() time.Duration { polls++; return 0 }
		})
		for range 2 { // the loops are independent
			rewrite(t, path, tokenFor("first"))
			after(t, 90*time.Second, func() { rewrite(t, path, tokenFor("second")) })
			start := time.Now()
			polls = 0
			for token, err := range tokens {
				assert.NoError(t, err)
				if token.Claims().Subject == "second" {
					break
				}
			}
			assert.Equal(t, 2*time.Minute, time.Since(start))
			assert.Equal(t, 3, polls, "at the start, for Recheck, and after a minute")
		}
	})
}
