package tokenfile

import (
	"context"
	"iter"
	"time"
)

const defaultInterval = time.Minute

// WatchOptions configures [Watch].
type WatchOptions struct {
	// Interval returns the time until the next poll. Watch calls it before each wait.
	// If Interval is nil or returns a non-positive duration, Watch polls every minute.
	// The kubelet rotates a token at 80% of its lifetime, so even with the minimum
	// lifetime of 600 s, the old token remains valid for two more minutes.
	Interval func() time.Duration

	// Known is a token that the caller has already read from the file. If it is not the
	// zero Token, Watch behaves as if it had just yielded Known.
	Known Token

	// Recheck, if non-nil, makes Watch poll immediately each time a value is received.
	// Closing Recheck causes one poll.
	Recheck <-chan struct{}
}

// Watch yields the token in the file at path, then the new token each time the content
// changes, until ctx is done or the loop ends. If the file cannot be read or does not
// contain a token, Watch yields the error once and continues. After an error, it yields
// the next token even if it is unchanged.
//
// Watch polls rather than using inotify. Each poll opens the path and compares the
// content, which takes about 10 µs. A projected volume replaces directories, so a watch
// on the file itself would stop receiving events, and the number of inotify instances
// on a node is limited.
//
// Each loop over the returned sequence is an independent watch. It runs in the caller's
// goroutine and blocks between tokens.
func Watch(ctx context.Context, path string, optFns ...func(*WatchOptions)) iter.Seq2[Token, error] {
	var opts WatchOptions
	for _, fn := range optFns {
		fn(&opts)
	}
	return func(yield func(Token, error) bool) {
		opts := opts
		last := opts.Known // empty after an error, so that it is never equal to a token
		failing := false
		if last != (Token{}) {
			opts.wait(ctx)
		}
		for ctx.Err() == nil {
			token, err := Reread(path, last)
			changed := err == nil && token != last || err != nil && !failing // Reread returns last if it is unchanged
			last, failing = token, err != nil
			if changed && !yield(token, err) {
				return
			}
			opts.wait(ctx)
		}
	}
}

// wait blocks until the next poll is due or ctx is done.
func (o *WatchOptions) wait(ctx context.Context) {
	interval := defaultInterval
	if o.Interval != nil {
		if d := o.Interval(); d > 0 {
			interval = d
		}
	}
	timer := time.NewTimer(interval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case _, open := <-o.Recheck:
		if !open {
			o.Recheck = nil
		}
	case <-timer.C:
	}
}
