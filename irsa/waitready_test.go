package irsa_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

// The last attempt can fail with an error of the cache, for example if a token source ignores its context.
func TestWaitReadyReportsErrorOfTokenSource(t *testing.T) {
	for name, tt := range map[string]struct {
		call func(end chan struct{})
		want string
	}{
		"exits": {func(chan struct{}) { runtime.Goexit() }, "runtime.Goexit"},
		"hangs": {func(end chan struct{}) { <-end }, "did not return"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, pod := newPod(t)
				end := make(chan struct{})
				defer close(end)
				p := newProvider(t, pod.Options, func(o *irsa.Options) {
					o.TokenFile, o.Token = "", irsa.TokenFunc("cart", func(context.Context) (tokenfile.Token, error) {
						tt.call(end)
						return tokenfile.Token{}, nil
					})
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				err := p.WaitReady(ctx)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorIs(t, err, irsa.ErrUnavailable)
				assert.ErrorContains(t, err, tt.want)
				assert.Contains(t, fmt.Sprintf("%+v", err), "Options.Token", "the advice is about the program")
				assert.ErrorContains(t, err, "#token-source")
			})
		})
	}
}

func TestWaitReadyReturnsWithinSecondOfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		k.STS.Fail(irsatest.AccessDenied, -1)
		p := newProvider(t, pod.Options)
		returned := make(chan error)
		go func() { returned <- p.WaitReady(context.Background()) }()
		time.Sleep(10 * time.Minute) // the next attempt is not due soon
		start := time.Now()
		require.NoError(t, p.Close())
		require.ErrorIs(t, <-returned, irsa.ErrClosed)
		assert.LessOrEqual(t, time.Since(start), time.Second)
	})
}
