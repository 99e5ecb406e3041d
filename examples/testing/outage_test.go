package shop_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	shop "github.com/irsakit/irsakit/examples/testing"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestUploaderSurvivesOneHourOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // simulated time: an hour passes at once
		k := irsatest.New(t)
		sa := k.ServiceAccount("shop", "cart")
		role := k.Role("uploader", irsatest.Trust(sa), irsatest.MaxSessionDuration(12*time.Hour))
		u, err := shop.NewUploader(k.Pod(sa, role).Options, func(o *irsa.Options) { o.Duration = 12 * time.Hour })
		require.NoError(t, err)
		defer u.Close()
		_, err = u.Link(t.Context(), "4711")
		require.NoError(t, err)

		time.Sleep(9 * time.Hour) // refreshes are due after 60% to 80% of the lifetime
		k.STS.Down()
		for range 60 {
			time.Sleep(time.Minute)
			_, err = u.Link(t.Context(), "4711")
			require.NoError(t, err)
		}
		k.STS.Up()
	})
}

func TestUploaderReportsOutageBeforeLinksFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := irsatest.New(t)
		sa := k.ServiceAccount("shop", "cart")
		pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)))
		u, err := shop.NewUploader(pod.Options)
		require.NoError(t, err)
		defer u.Close()
		_, err = u.Link(t.Context(), "4711")
		require.NoError(t, err)
		require.NoError(t, u.Healthy())

		k.STS.Down()
		time.Sleep(42 * time.Minute) // the credentials live for one hour
		require.ErrorIs(t, u.Healthy(), irsa.ErrUnavailable)
		_, err = u.Link(t.Context(), "4711")
		require.NoError(t, err)

		time.Sleep(20 * time.Minute)
		_, err = u.Link(t.Context(), "4711")
		require.ErrorIs(t, err, irsa.ErrUnavailable)

		k.STS.Up()
		time.Sleep(10 * time.Second)
		_, err = u.Link(t.Context(), "4711")
		require.NoError(t, err)
		require.NoError(t, u.Healthy())
	})
}

func TestUploaderRecoversFromSTSFaults(t *testing.T) {
	faults := []irsatest.Fault{
		irsatest.Throttling, irsatest.Unavailable, irsatest.InternalFailure, irsatest.IDPCommunicationError,
		irsatest.IDPRejectedClaim, irsatest.RegionDisabled, irsatest.AccessDenied, irsatest.ExpiredToken,
		irsatest.VerificationKey, irsatest.Thumbprint,
		irsatest.Reset, irsatest.Hang,
		irsatest.EmptyReply, irsatest.TruncatedReply, irsatest.HTMLReply, irsatest.GarbageReply, irsatest.NoCredentials,
		irsatest.EmptyKeys, irsatest.ExpiredCredentials, irsatest.HugeReply,
	}
	for _, fault := range faults {
		t.Run(string(fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := irsatest.New(t)
				sa := k.ServiceAccount("shop", "cart")
				pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)))
				u, err := shop.NewUploader(pod.Options)
				require.NoError(t, err)
				defer u.Close()

				k.STS.Fail(fault, -1)
				_, err = u.Link(t.Context(), "4711")
				require.Error(t, err)
				k.STS.Recover()
				time.Sleep(10 * time.Second)
				_, err = u.Link(t.Context(), "4711")
				require.NoError(t, err)
			})
		})
	}
}

func TestLinkReturnsWhenContextExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := irsatest.New(t)
		sa := k.ServiceAccount("shop", "cart")
		pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)))
		u, err := shop.NewUploader(pod.Options)
		require.NoError(t, err)
		defer u.Close()

		k.STS.Fail(irsatest.Hang, -1)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err = u.Link(ctx, "4711")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 3*time.Second, time.Since(start))
	})
}

func TestUploaderLogsOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := irsatest.New(t)
		sa := k.ServiceAccount("shop", "cart")
		pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)))
		var log strings.Builder
		u, err := shop.NewUploader(pod.Options, func(o *irsa.Options) {
			o.Logger = slog.New(slog.NewTextHandler(&log, nil)) // or t.Output(), to see the log if the test fails
		})
		require.NoError(t, err)
		_, err = u.Link(t.Context(), "4711")
		require.NoError(t, err)

		k.STS.Down()
		time.Sleep(50 * time.Minute)
		u.Close() // nothing is logged after Close
		assert.Contains(t, log.String(), "level=WARN")
		assert.Contains(t, log.String(), pod.RoleARN())
		assert.NotContains(t, log.String(), pod.Token())
	})
}
