package irsatest_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestSTSResetFaultResetsConnection(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		w.STS.Fail(irsatest.Reset, 1)
		_, err := w.assume(t.Context())
		requireReset(t, err)
		var op *net.OpError
		require.ErrorAs(t, err, &op)
		assert.Equal(t, "read", op.Op)

		_, err = w.assume(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"Reset", ""}, codes(w))
	})
}

func TestSTSDownRefusesConnectionsUntilUp(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		for range 3 {
			_, err := w.assume(t.Context())
			require.NoError(t, err)

			w.STS.Down()
			w.STS.Down()
			_, err = w.assume(t.Context())
			requireRefused(t, err)
			var op *net.OpError
			require.ErrorAs(t, err, &op)
			assert.Equal(t, "dial", op.Op)

			w.STS.Up()
			w.STS.Up()
			w.Issuer.RotateKeys()
			w.pod.Rotate()
		}
		_, err := w.assume(t.Context())
		require.NoError(t, err)

		w.STS.Down()
		w.STS.Recover()
		_, err = w.assume(t.Context())
		require.NoError(t, err)
	})
}

func TestSTSCallsRecordRefusedConnectionsInMemory(t *testing.T) {
	w := inMemory(t)
	w.STS.Down()
	_, err := w.assume(t.Context())
	require.Error(t, err)
	call := w.STS.Calls()[0]
	assert.Equal(t, "Refused", call.Err)
	assert.Equal(t, w.pod.RoleARN(), call.RoleARN)
	assert.Equal(t, "system:serviceaccount:shop:cart", call.Subject)
}

func TestSTSHangFaultEndsWithContext(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		w.STS.Fail(irsatest.Hang, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := w.assume(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, []string{"NoReply"}, codes(w))
	})
}

// whileHanging runs end while a call hangs, and returns the call's error.
func whileHanging(t *testing.T, w *world, end func()) error {
	w.STS.Fail(irsatest.Hang, -1)
	done := make(chan error, 1)
	go func() {
		_, err := w.assume(context.WithoutCancel(t.Context()))
		done <- err
	}()
	for w.STS.CallCount() == 0 {
		time.Sleep(time.Millisecond)
	}
	end()
	return <-done
}

func TestSTSHangFaultEndsWithRecover(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		require.NoError(t, whileHanging(t, w, w.STS.Recover))
		assert.Equal(t, []string{""}, codes(w))
	})
}

func TestSTSHangFaultEndsWithDown(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		require.Error(t, whileHanging(t, w, w.STS.Down))
		w.STS.Recover()
		_, err := w.assume(t.Context())
		require.NoError(t, err)
	})
}

func TestSTSHangFaultEndsWithClose(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		require.Error(t, whileHanging(t, w, func() { assert.NoError(t, w.Close()) }))
		w.STS.Up()
		_, err := w.client().AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
			RoleArn: aws.String("arn"), RoleSessionName: aws.String("session"), WebIdentityToken: aws.String("token"),
		})
		requireRefused(t, err) // Up does not reopen a closed STS
	})
}
