package main

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/tokenfile"
)

func TestStepsFailOnMissingResult(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]func(*demo, context.Context) error{
		"irsakit: new credentials for all callers": (*demo).newKeys,
		"a line in the log and failed requests":    (*demo).stsOutage,
		"a line in the log":                        (*demo).recovery,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d, _ := newTestDemo(t)
				d.startCallers(t, time.Hour)

				require.ErrorContains(t, step(d, t.Context()), "not seen within 10s: "+name)
			})
		})
	}
}

// startCallers runs the callers until the test ends, and waits until they have credentials with the
// given lifetime.
func (d *demo) startCallers(t *testing.T, lifetime time.Duration) {
	t.Helper()
	d.kit.STS.SetLifetime(lifetime)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { d.ours.run(ctx) })
	running.Go(func() { d.theirs.run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	require.NoError(t, d.newKeys(ctx))
}

func TestRotationFailsOnOldToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, _ := newTestDemo(t, func(o *irsa.Options) {
			token, err := tokenfile.Read(o.TokenFile)
			require.NoError(t, err)
			o.TokenFile, o.Token = "", fixedToken(token)
		})
		d.startCallers(t, firstLifetime)

		require.EqualError(t, d.rotation(t.Context()), "irsakit sent the old token")
	})
}

// fixedToken is a token source that returns the same token even after a rotation.
type fixedToken tokenfile.Token

func (fixedToken) Identity() string { return "shop/cart" }

func (f fixedToken) Token(context.Context) (tokenfile.Token, error) { return tokenfile.Token(f), nil }
