package irsatest_test

import (
	"context"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestSTSSetLatencyDelaysReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		w.STS.SetLatency(7 * time.Second)
		start := time.Now()
		_, err := w.assume(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 7*time.Second, time.Since(start))

		w.STS.Fail(irsatest.Throttling, 1)
		_, err = w.assume(t.Context())
		requireRejection(t, err, "Throttling", 400)
		assert.Equal(t, 14*time.Second, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = w.assume(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 15*time.Second, time.Since(start))

		client := w.HTTPClient()
		client.Timeout = 2 * time.Second
		_, err = client.Get("https://sts.amazonaws.com/")
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		assert.True(t, timeout.Timeout())

		go func() {
			time.Sleep(3 * time.Second)
			w.STS.Down()
		}()
		_, err = w.assume(t.Context())
		requireReset(t, err) // calls in progress are interrupted
	})
}

func TestSTSSetClockSkewShiftsDateAndExpiration(t *testing.T) {
	for _, skew := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute, 3500 * time.Millisecond} {
		t.Run(skew.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := inMemory(t)
				time.Sleep(400 * time.Millisecond)
				w.STS.SetClockSkew(skew)
				clock := time.Now().Add(skew)

				out, err := w.assume(t.Context())
				require.NoError(t, err)
				assert.Equal(t, clock.Add(time.Hour).Truncate(time.Second).UTC(), out.Credentials.Expiration.UTC())

				res := post(t, w, "https://sts.eu-central-1.amazonaws.com/")
				assert.Equal(t, clock.UTC().Format(http.TimeFormat), res.Header.Get("Date"), "rejections have it too")
				readAll(t, res)
			})
		})
	}
}

func TestSTSOmitDate(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		w.STS.OmitDate(true)
		res := post(t, w, "https://sts-fips.us-east-1.amazonaws.com/")
		readAll(t, res)
		assert.NotContains(t, res.Header, "Date")

		w.STS.OmitDate(false)
		res = post(t, w, "https://sts.us-east-1.api.aws/")
		readAll(t, res)
		assert.Contains(t, res.Header, "Date")
	})
}

func TestSTSSetLifetimeShortensLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		for life, want := range map[time.Duration]time.Duration{
			0:                      time.Hour,
			time.Minute:            time.Minute,
			700 * time.Millisecond: 700 * time.Millisecond,
			5 * time.Hour:          time.Hour,
		} {
			w.STS.SetLifetime(life)
			out, err := w.assume(t.Context())
			require.NoError(t, err)
			assert.Equal(t, want, time.Until(*out.Credentials.Expiration), "SetLifetime(%s)", life)
		}
	})
}

func TestCloseRemovesDirectoryBelowRelativeTempDir(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("TMPDIR", ".")
	k, err := irsatest.Start()
	require.NoError(t, err)
	file := populate(k).pod.TokenFile()
	require.FileExists(t, file)
	t.Chdir(t.TempDir())
	require.NoError(t, k.Close())
	assert.NoFileExists(t, file)
}

func TestStartNamesVariableOfMissingTempDir(t *testing.T) {
	for _, variable := range []string{"TMPDIR", "TMP"} { // the latter on Windows
		t.Setenv(variable, filepath.Join(t.TempDir(), "none"))
	}
	_, err := irsatest.Start()
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "set TMPDIR or Options.Dir to a directory that can be written to")
}
