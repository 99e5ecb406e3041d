package irsa

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// minRejectedAge is the minimum age of credentials for which a host's first rejection starts an
	// exchange. It doubles with each consecutive key that the host rejects, up to maxRejectedAge.
	minRejectedAge = time.Minute
	maxRejectedAge = 30 * time.Minute

	// maxHosts is the maximum number of recorded hosts.
	maxHosts = 16
)

// hosts records the hosts that rejected a Provider's keys, least recently used first.
type hosts struct {
	mu   sync.Mutex
	list []host
}

type host struct {
	name   string
	key    string        // the newest key that it rejected
	minAge time.Duration // the minimum age of that key for an exchange
}

// reject records that a host rejected a key. It returns the minimum age of the credentials for an
// exchange, and reports whether it is the host's first rejection of that key.
func (h *hosts) reject(name, key string) (minAge time.Duration, first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	entry := host{name: name}
	if i := h.index(name); i >= 0 {
		entry = h.list[i]
		h.list = slices.Delete(h.list, i, i+1)
	} else if len(h.list) == maxHosts {
		h.list = slices.Delete(h.list, 0, 1)
	}
	first = entry.key != key
	if first {
		entry.key = key
		entry.minAge = min(max(2*entry.minAge, minRejectedAge), maxRejectedAge)
	}
	h.list = append(h.list, entry)
	return entry.minAge, first
}

// accept removes a host that accepted a key, unless it has rejected the same key.
func (h *hosts) accept(name, key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := h.index(name); i >= 0 && h.list[i].key != key {
		h.list = slices.Delete(h.list, i, i+1)
	}
}

// empty reports whether no hosts are recorded.
func (h *hosts) empty() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.list) == 0
}

// index returns the position of a host, or -1 if it is not recorded. h.mu is held.
func (h *hosts) index(name string) int {
	return slices.IndexFunc(h.list, func(entry host) bool { return entry.name == name })
}

// hostOf returns the host of a request, without the bucket name at the beginning of S3's
// virtual-hosted addresses.
func hostOf(request *http.Request, bucket string) string {
	if request.URL == nil {
		return ""
	}
	if bucket == "" {
		return request.URL.Host
	}
	return strings.TrimPrefix(request.URL.Host, bucket+".")
}
