package tokenfile

import (
	"context"
	"iter"
	"time"
)

const defaultInterval = time.Minute

// WatchOptions say how often [Watch] looks.
type WatchOptions struct {
	// Interval is asked after each look how long to wait for the next one. Nil,
	// or a result of 0 or less, means one minute: the kubelet renews a token at
	// 80 % of its life, so the old one is good for two minutes more even at the
	// shortest life of 600 s.
	Interval func() time.Duration

	// Recheck, where it is not nil, makes Watch look at once when it receives. A
	// closed one does so once.
	Recheck <-chan struct{}
}

// Watch yields the token in the file at path, and again whenever the content has
// changed, until ctx ends or the loop is left. Where the file cannot be read, or
// holds no token, it yields that error once and goes on; the token that comes
// after an error is yielded whether it is a new one or not.
//
// Watch polls: it opens the path anew for each look and compares the content. A
// projected volume swaps directories, under which a watch of the file itself goes
// silent, and inotify instances are few on a node. A look costs some 10 µs.
//
// Each loop over the result is a watch of its own, runs in the caller's goroutine
// and blocks between the tokens.
func Watch(ctx context.Context, path string, optFns ...func(*WatchOptions)) iter.Seq2[Token, error] {
	var opts WatchOptions
	for _, fn := range optFns {
		fn(&opts)
	}
	return func(yield func(Token, error) bool) {
		opts := opts
		var last Token // empty after an error, which no token is
		failing := false
		for ctx.Err() == nil {
			token, err := Reread(path, last)
			news := err == nil && token.Reveal() != last.Reveal() || err != nil && !failing
			last, failing = token, err != nil
			if news && !yield(token, err) {
				return
			}
			opts.wait(ctx)
		}
	}
}

// wait returns when it is time for the next look, or ctx has ended.
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
