package irsa

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHostsDoubleMinAgeForEachConsecutiveKey(t *testing.T) {
	var h hosts
	for i, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 30 * time.Minute, 30 * time.Minute} {
		key := fmt.Sprint("key", i)
		for i, v := range []verdict{doubtful, invalidKey, invalidKey, doubtful} {
			age, report := h.reject("bad", key, v)
			assert.Equal(t, want, age, "the same key counts once")
			assert.Equal(t, i == 1, report)
		}
	}
	h.accept("bad", "key6")
	assert.True(t, h.accepts("bad", "key6"))
	age, _ := h.reject("bad", "key7", invalidKey)
	assert.Equal(t, 30*time.Minute, age, "accepting a rejected key does not reset the age")
	h.accept("bad", "key8")
	assert.True(t, h.accepts("bad", "key8"))
	assert.False(t, h.accepts("bad", "key6"))
	age, _ = h.reject("bad", "key9", invalidKey)
	assert.Equal(t, time.Minute, age)
}

func TestHostsKeepSixteenMostRecentlyUsed(t *testing.T) {
	var h hosts
	for i := range maxHosts {
		h.reject(fmt.Sprint("host", i), "key0", invalidKey)
	}
	h.reject("host0", "key1", invalidKey)
	h.reject("another", "key1", invalidKey)
	require.Len(t, h.list, maxHosts)
	assert.Equal(t, -1, h.index("host1"), "the least recently used is dropped")
	age, _ := h.reject("host0", "key2", invalidKey)
	assert.Equal(t, 4*time.Minute, age)
	h.accept("unknown", "key2")
	assert.Len(t, h.list, maxHosts)
	assert.False(t, h.accepts("unknown", "key2"))
}

// A key that many hosts reject, such as a deleted one, must not be reported for each request.
func TestHostsReportKeyForAtMostSixteenHosts(t *testing.T) {
	var h hosts
	for _, key := range []string{"key0", "key1"} {
		reports := 0
		for i := range 1000 {
			if _, report := h.reject(fmt.Sprint("host", i%(2*maxHosts)), key, invalidKey); report {
				reports++
			}
		}
		assert.Equal(t, maxHosts, reports, key)
		assert.Len(t, h.list, maxHosts)
	}
}

func TestHostOfOmitsBucket(t *testing.T) {
	for _, tt := range []struct{ url, bucket, want string }{
		{"https://sts.us-west-2.amazonaws.com/", "", "sts.us-west-2.amazonaws.com"},
		{"https://photos.s3.us-west-2.amazonaws.com/cat", "photos", "s3.us-west-2.amazonaws.com"},
		{"https://my.photos.store.example:9000/cat", "my.photos", "store.example:9000"},
		{"https://store.example/photos/cat", "photos", "store.example"},
		{"https://photos.example/photos/cat", "photo", "photos.example"},
		{"https://photos-111122223333.s3-accesspoint.us-west-2.amazonaws.com/cat", "arn:aws:s3:us-west-2:111122223333:accesspoint/photos", "s3-accesspoint.us-west-2.amazonaws.com"},
		{"https://s3.us-west-2.amazonaws.com/", "arn:aws:s3:::photos", "s3.us-west-2.amazonaws.com"},
	} {
		request, err := http.NewRequest(http.MethodGet, tt.url, nil)
		require.NoError(t, err)
		assert.Equal(t, tt.want, hostOf(request, tt.bucket), tt.url)
	}
}
