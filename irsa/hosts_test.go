package irsa

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHostsDoubleTheAgeWithEachConsecutiveKey(t *testing.T) {
	var h hosts
	for i, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 30 * time.Minute, 30 * time.Minute} {
		key := fmt.Sprint("key", i)
		age, first := h.reject("bad", key)
		assert.Equal(t, want, age)
		assert.True(t, first)
		age, first = h.reject("bad", key)
		assert.Equal(t, want, age, "the same key counts once")
		assert.False(t, first)
	}
	h.accept("bad", "key6")
	age, _ := h.reject("bad", "key7")
	assert.Equal(t, 30*time.Minute, age, "a key that it rejected before is no sign of health")
	h.accept("bad", "key8")
	assert.True(t, h.empty())
	age, _ = h.reject("bad", "key9")
	assert.Equal(t, time.Minute, age)
}

func TestHostsRememberTheSixteenMostRecentlyUsed(t *testing.T) {
	var h hosts
	for i := range maxHosts {
		h.reject(fmt.Sprint("host", i), "key0")
	}
	h.reject("host0", "key1")
	h.reject("another", "key1")
	require.Len(t, h.list, maxHosts)
	assert.Equal(t, -1, h.index("host1"), "the least recently used is dropped")
	age, _ := h.reject("host0", "key2")
	assert.Equal(t, 4*time.Minute, age)
	h.accept("unknown", "key2")
	assert.Len(t, h.list, maxHosts)
}

func TestHostOfLeavesTheBucketOut(t *testing.T) {
	for _, tt := range []struct{ url, bucket, want string }{
		{"https://sts.us-west-2.amazonaws.com/", "", "sts.us-west-2.amazonaws.com"},
		{"https://photos.s3.us-west-2.amazonaws.com/cat", "photos", "s3.us-west-2.amazonaws.com"},
		{"https://my.photos.store.example:9000/cat", "my.photos", "store.example:9000"},
		{"https://store.example/photos/cat", "photos", "store.example"},
		{"https://photos.example/photos/cat", "photo", "photos.example"},
	} {
		request, err := http.NewRequest(http.MethodGet, tt.url, nil)
		require.NoError(t, err)
		assert.Equal(t, tt.want, hostOf(request, tt.bucket), tt.url)
	}
}
