package irsa_test

import (
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// Until the next attempt, all callers get the same Error. Their calls must not format text, access
// files or call STS.
func TestRetrieveReturnsSameErrorUntilNextExchange(t *testing.T) {
	for name, begin := range map[string]func(*irsatest.Cluster, *irsatest.Pod){
		"connections are refused": func(k *irsatest.Cluster, _ *irsatest.Pod) { k.STS.Down() },
		"STS hangs":               func(k *irsatest.Cluster, _ *irsatest.Pod) { k.STS.Fail(irsatest.Hang, -1) },
		"access is denied":        func(k *irsatest.Cluster, _ *irsatest.Pod) { k.STS.Fail(irsatest.AccessDenied, -1) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod := newPod(t)
				p := newProvider(t, pod.Options)
				view := p.MinTTL(time.Minute)
				ctx := t.Context()
				begin(k, pod)
				_, err := p.Retrieve(ctx)
				require.Error(t, err)
				_, first := p.Retrieve(ctx)
				require.Error(t, first)
				synctest.Wait() // until the watch of the token file has polled
				opened := watchOpens(t, pod.TokenFile())
				calls := k.STS.CallCount()
				for name, provider := range map[string]aws.CredentialsProvider{"Retrieve": p, "Retrieve of a view": view} {
					_, err := provider.Retrieve(ctx)
					assert.Same(t, first, err, name)
					assert.LessOrEqual(t, testing.AllocsPerRun(1000, func() { _, _ = provider.Retrieve(ctx) }), 1.0, name)
				}
				assert.Equal(t, calls, k.STS.CallCount(), "calls of STS")
				assert.False(t, opened(), "the token file was opened")

				var failure *irsa.Error
				require.ErrorAs(t, first, &failure)
				assert.Equal(t, p.Status().NextAttempt, failure.NextAttempt)
				time.Sleep(time.Until(failure.NextAttempt))
				require.Error(t, p.Refresh(ctx))
				assert.True(t, opened(), "an exchange opens the token file")
				_, next := p.Retrieve(ctx)
				require.ErrorIs(t, next, failure.Kind)
				assert.NotSame(t, first, next, "the error of the next exchange")
			})
		})
	}
}

// watchOpens returns a function that reports whether the file at path was opened since the last call.
func watchOpens(t *testing.T, path string) (opened func() bool) {
	t.Helper()
	events, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, syscall.Close(events)) })
	_, err = syscall.InotifyAddWatch(events, path, syscall.IN_OPEN)
	require.NoError(t, err)
	return func() bool {
		n, err := syscall.Read(events, make([]byte, 4096))
		if err != nil {
			require.ErrorIs(t, err, syscall.EAGAIN)
		}
		return n > 0
	}
}
