package irsatest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestSTSCallsRecordRequestsWithoutTokens(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		start := time.Now()
		_, err := w.assume(t.Context())
		require.NoError(t, err)
		good := w.pod.Token()
		w.pod.Rotate(irsatest.Invalid("expired"))
		_, err = w.assume(t.Context())
		require.Error(t, err)

		calls := w.STS.Calls()
		require.Len(t, calls, 2)
		assert.Equal(t, 2, w.STS.CallCount())
		assert.WithinDuration(t, start, calls[0].Time, 5*time.Second)
		assert.Regexp(t, `^[0-9a-f]{8}$`, calls[0].TokenFingerprint)
		assert.NotEqual(t, calls[0].TokenFingerprint, calls[1].TokenFingerprint)
		calls[0].Time, calls[0].TokenFingerprint = time.Time{}, ""
		assert.Equal(t, irsatest.Call{
			Action:      "AssumeRoleWithWebIdentity",
			RoleARN:     "arn:aws:iam::111122223333:role/s3-writer",
			SessionName: "session",
			Subject:     "system:serviceaccount:shop:cart",
		}, calls[0])
		assert.Equal(t, "ExpiredTokenException", calls[1].Err)
		assert.Equal(t, "system:serviceaccount:shop:cart", calls[1].Subject)

		var text bytes.Buffer
		fmt.Fprintf(&text, "%+v %#v", calls, w.STS.Calls())
		require.NoError(t, json.NewEncoder(&text).Encode(calls))
		for _, token := range []string{good, w.pod.Token()} {
			for _, part := range append(strings.Split(token, "."), token) {
				assert.NotContains(t, text.String(), part)
			}
		}

		w.STS.ForgetCalls()
		assert.Empty(t, w.STS.Calls())
		assert.Zero(t, w.STS.CallCount())
	})
}

func TestClusterConcurrentUse(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				_, err := w.assume(t.Context())
				assert.NoError(t, err)
				w.Issuer.RotateKeys()
				w.pod.Rotate()
				w.STS.SetLatency(time.Millisecond)
				w.Role("other", irsatest.Trust(w.sa))
			})
		}
		callers.Wait()
		assert.Equal(t, 8, w.STS.CallCount())
	})
}
