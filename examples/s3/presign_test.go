package main

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// end returns the access key that signed a URL, and when the URL ends.
func end(t *testing.T, presigned string) (key string, life time.Duration, ends time.Time) {
	t.Helper()
	u, err := url.Parse(presigned)
	require.NoError(t, err)
	found := u.Query()
	seconds, err := strconv.Atoi(found.Get("X-Amz-Expires"))
	require.NoError(t, err)
	date, err := time.Parse(signingTime, found.Get("X-Amz-Date"))
	require.NoError(t, err)
	key, _, _ = strings.Cut(found.Get("X-Amz-Credential"), "/")
	life = time.Duration(seconds) * time.Second
	return key, life, date.Add(life)
}

func TestAURLLivesAsLongAsWasAskedForAndItsCredentialsOutliveIt(t *testing.T) {
	s := newShop(t, nothing)
	_, err := s.run("put", s.write("f", "thank you"), there)
	require.NoError(t, err)
	for _, args := range [][]string{{"-for", "35m"}, {"-for", "2h20m", "-session", "4h"}} {
		presigned, err := s.run(append([]string{"presign", there}, args...)...)
		require.NoError(t, err)
		key, life, ends := end(t, presigned)
		assert.Equal(t, args[1]+"0s", life.String())
		session, known := s.store.sessions()[key]
		require.True(t, known)
		assert.False(t, ends.After(*session.Expiration), "%s, %s", ends, *session.Expiration)

		status, err := fetch(t.Context(), presigned)
		require.NoError(t, err)
		assert.Equal(t, "200 OK, 9 bytes", status)
		s.store.ahead.Store(int64(life + time.Minute))
		status, err = fetch(t.Context(), presigned)
		require.NoError(t, err)
		assert.Equal(t, "403 Forbidden", status)
		s.store.ahead.Store(0)
	}
}

func TestWhereTooLittleIsLeftTheURLIsSignedWithNewCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := irsatest.New(t)
		sa := k.ServiceAccount("shop", "receipts")
		p, err := irsa.New(k.Pod(sa, k.Role("receipts", irsatest.Trust(sa))).Options)
		require.NoError(t, err)
		defer p.Close()
		first, err := p.Retrieve(t.Context())
		require.NoError(t, err)
		time.Sleep(30 * time.Minute)
		still, err := p.Retrieve(t.Context())
		require.NoError(t, err)
		require.Equal(t, first.AccessKeyID, still.AccessKeyID)

		cfg := p.AWSConfig()
		cfg.Credentials = p.MinTTL(35 * time.Minute)
		presigned, err := presign(t.Context(), command{}.client(cfg), object{"b", "k"}, 35*time.Minute)
		require.NoError(t, err)
		key, _, ends := end(t, presigned)
		second, err := p.Retrieve(t.Context())
		require.NoError(t, err)
		assert.NotEqual(t, first.AccessKeyID, key)
		assert.Equal(t, second.AccessKeyID, key)
		assert.False(t, ends.After(second.Expires))
	})
}

func TestALifeThatNoCredentialsHaveIsAnErrorThatSaysSo(t *testing.T) {
	s := newShop(t, nothing)
	presigned, err := s.run("presign", there, "-for", "37m")
	assert.Empty(t, presigned)
	require.ErrorIs(t, err, cache.ErrMinTTL)
	require.ErrorIs(t, err, irsa.ErrInvalidRequest)
	assert.ErrorContains(t, err, "s3: presign "+there+": the credentials do not live long enough for a URL of 37m0s, make -for shorter or -session longer")
}

func TestWithoutCredentialsNothingIsPresigned(t *testing.T) {
	s := newShop(t, nothing)
	s.kit.STS.Fail(irsatest.AccessDenied, -1)
	presigned, err := s.run("presign", there)
	assert.Empty(t, presigned)
	require.ErrorIs(t, err, irsa.ErrAccessDenied)
	assert.ErrorContains(t, err, "s3: presign "+there)
}
