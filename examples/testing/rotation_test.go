package shop_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	shop "github.com/irsakit/irsakit/examples/testing"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestUploaderUsesRotatedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := irsatest.New(t)
		sa := k.ServiceAccount("shop", "cart")
		pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)))
		u, err := shop.NewUploader(pod.Options)
		require.NoError(t, err)
		defer u.Close()
		_, err = u.Link(t.Context(), "4711")
		require.NoError(t, err)

		pod.Rotate()
		time.Sleep(50 * time.Minute) // beyond the next refresh
		calls := k.STS.Calls()
		require.Len(t, calls, 2)
		assert.NotEqual(t, calls[0].TokenFingerprint, calls[1].TokenFingerprint)
	})
}

func TestUploaderSurvivesWeekOfRotations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := irsatest.New(t)
		sa := k.ServiceAccount("shop", "cart")
		pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)), func(o *irsatest.PodOptions) {
			o.AutoRotate = true
			o.TokenLifetime = time.Hour
		})
		u, err := shop.NewUploader(pod.Options)
		require.NoError(t, err)
		defer u.Close()
		days := 7
		if testing.Short() {
			days = 1
		}
		for range days * 24 {
			_, err = u.Link(t.Context(), "4711")
			require.NoError(t, err)
			time.Sleep(time.Hour)
		}
		for _, call := range k.STS.Calls() {
			assert.Empty(t, call.Err)
		}
	})
}

func TestUploaderRecoversFromExpiredToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := irsatest.New(t)
		sa := k.ServiceAccount("shop", "cart")
		pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)))
		pod.Rotate(irsatest.Invalid("expired"))
		u, err := shop.NewUploader(pod.Options)
		require.NoError(t, err)
		defer u.Close()
		_, err = u.Link(t.Context(), "4711")
		require.ErrorIs(t, err, irsa.ErrTokenExpired)

		pod.Rotate()
		time.Sleep(3 * time.Second)
		_, err = u.Link(t.Context(), "4711")
		require.NoError(t, err)
	})
}

func TestUploaderReportsExpiredTokenOnFrozenNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := irsatest.New(t)
		sa := k.ServiceAccount("shop", "cart")
		pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)), func(o *irsatest.PodOptions) { o.AutoRotate = true })
		u, err := shop.NewUploader(pod.Options)
		require.NoError(t, err)
		defer u.Close()

		pod.Freeze() // the kubelet does not get new tokens
		time.Sleep(23 * time.Hour)
		_, err = u.Link(t.Context(), "4711")
		require.NoError(t, err, "the token is valid for 24 hours")
		time.Sleep(3 * time.Hour)
		_, err = u.Link(t.Context(), "4711")
		require.ErrorIs(t, err, irsa.ErrTokenExpired)

		pod.Thaw()
		pod.Rotate() // or wait for the kubelet's next rotation
		time.Sleep(3 * time.Second)
		_, err = u.Link(t.Context(), "4711")
		require.NoError(t, err)
	})
}

func TestUploaderReportsSubPathMount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := irsatest.New(t)
		sa := k.ServiceAccount("shop", "cart")
		pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)), func(o *irsatest.PodOptions) {
			o.AutoRotate = true // does not reach a file mounted with subPath
			o.SubPath = true
		})
		u, err := shop.NewUploader(pod.Options)
		require.NoError(t, err)
		defer u.Close()
		_, err = u.Link(t.Context(), "4711")
		require.NoError(t, err)

		time.Sleep(26 * time.Hour)
		_, err = u.Link(t.Context(), "4711")
		require.ErrorIs(t, err, irsa.ErrTokenExpired)
		assert.ErrorContains(t, err, "subPath")
	})
}

func TestLinkWaitsForTokenFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := irsatest.New(t)
		sa := k.ServiceAccount("shop", "cart")
		pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)))
		pod.RemoveToken()
		u, err := shop.NewUploader(pod.Options)
		require.NoError(t, err)
		defer u.Close()

		time.AfterFunc(time.Second, func() { pod.Rotate() })
		_, err = u.Link(t.Context(), "4711")
		require.NoError(t, err)
	})
}
