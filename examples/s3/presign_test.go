package main

import (
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// parsePresigned returns the access key that signed a URL, and the URL's lifetime and expiry.
func parsePresigned(t *testing.T, presigned string) (key string, lifetime time.Duration, expires time.Time) {
	t.Helper()
	u, err := url.Parse(presigned)
	require.NoError(t, err)
	query := u.Query()
	seconds, err := strconv.Atoi(query.Get("X-Amz-Expires"))
	require.NoError(t, err)
	date, err := time.Parse("20060102T150405Z", query.Get("X-Amz-Date"))
	require.NoError(t, err)
	key, _, _ = strings.Cut(query.Get("X-Amz-Credential"), "/")
	lifetime = time.Duration(seconds) * time.Second
	return key, lifetime, date.Add(lifetime)
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestPresignReportsWriteError(t *testing.T) {
	s := newShop(t, unwrapped)
	err := run(t.Context(), []string{"presign", objectURL}, fullDisk{}, s.options)
	require.ErrorIs(t, err, syscall.ENOSPC)
}

func TestPresignedURLIsValidForItsLifetime(t *testing.T) {
	s := newShop(t, unwrapped)
	_, err := s.run("put", s.write("f", "thank you"), objectURL)
	require.NoError(t, err)
	for _, args := range [][]string{{"-for", "35m"}, {"-for", "2h20m", "-session", "4h"}} {
		presigned, err := s.run(append([]string{"presign", objectURL}, args...)...)
		require.NoError(t, err)
		_, lifetime, _ := parsePresigned(t, presigned)
		assert.Equal(t, args[1]+"0s", lifetime.String())

		for age, want := range map[time.Duration]string{
			0:                      "200 OK, 9 bytes",
			lifetime - time.Minute: "200 OK, 9 bytes",
			lifetime + time.Second: "403 Forbidden",
		} {
			s.kit.STS.SetClockSkew(age)
			status, err := fetch(t.Context(), presigned)
			require.NoError(t, err)
			assert.Equal(t, want, status, age)
		}
		s.kit.STS.SetClockSkew(0)
	}
}

func TestPresignUsesNewCredentialsWhenLifetimeIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := irsatest.New(t)
		sa := k.ServiceAccount("shop", "receipts")
		p, err := irsa.New(k.Pod(sa, k.Role("receipts", irsatest.Trust(sa))).Options)
		require.NoError(t, err)
		defer p.Close()
		first, err := p.Retrieve(t.Context())
		require.NoError(t, err)
		time.Sleep(30 * time.Minute)
		cached, err := p.Retrieve(t.Context())
		require.NoError(t, err)
		require.Equal(t, first.AccessKeyID, cached.AccessKeyID)

		cfg := p.AWSConfig()
		cfg.Credentials = p.MinTTL(35 * time.Minute)
		presigned, err := presign(t.Context(), command{}.client(cfg), object{"b", "k"}, 35*time.Minute)
		require.NoError(t, err)
		key, _, expires := parsePresigned(t, presigned)
		second, err := p.Retrieve(t.Context())
		require.NoError(t, err)
		assert.NotEqual(t, first.AccessKeyID, key)
		assert.Equal(t, second.AccessKeyID, key)
		assert.False(t, expires.After(second.Expires))
	})
}

func TestPresignRejectsLifetimeBeyondCredentials(t *testing.T) {
	s := newShop(t, unwrapped)
	presigned, err := s.run("presign", objectURL, "-for", "37m")
	assert.Empty(t, presigned)
	require.ErrorIs(t, err, cache.ErrMinTTL)
	require.ErrorIs(t, err, irsa.ErrInvalidRequest)
	assert.ErrorContains(t, err, "s3: presign "+objectURL+": the credentials do not live long enough for a URL of 37m0s, make -for shorter or -session longer")
}

func TestPresignFailsWithoutCredentials(t *testing.T) {
	s := newShop(t, unwrapped)
	s.kit.STS.Fail(irsatest.AccessDenied, -1)
	presigned, err := s.run("presign", objectURL)
	assert.Empty(t, presigned)
	require.ErrorIs(t, err, irsa.ErrAccessDenied)
	assert.ErrorContains(t, err, "s3: presign "+objectURL)
}
