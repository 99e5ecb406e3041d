package irsa

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// minRejectedAge is how old credentials are at least when a first rejection by a host starts an
	// exchange. It doubles with each consecutive key that the host rejects, up to maxRejectedAge.
	minRejectedAge = time.Minute
	maxRejectedAge = 30 * time.Minute

	// maxHosts bounds the hosts that are remembered.
	maxHosts = 16
)

// hosts remembers which hosts rejected a Provider's keys, the least recently used first.
type hosts struct {
	mu   sync.Mutex
	list []host
}

type host struct {
	name   string
	key    string        // the newest that it rejected
	minAge time.Duration // for the exchange that a rejection of that key starts
}

// reject records that a host rejected a key. It returns how old the credentials must be for an
// exchange, and reports whether it is the host's first rejection of that key.
func (h *hosts) reject(name, key string) (minAge time.Duration, first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := host{name: name}
	if i := h.index(name); i >= 0 {
		known = h.list[i]
		h.list = slices.Delete(h.list, i, i+1)
	} else if len(h.list) == maxHosts {
		h.list = slices.Delete(h.list, 0, 1)
	}
	first = known.key != key
	if first {
		known.key = key
		known.minAge = min(max(2*known.minAge, minRejectedAge), maxRejectedAge)
	}
	h.list = append(h.list, known)
	return known.minAge, first
}

// accept records that a host accepted a key that it has not rejected.
func (h *hosts) accept(name, key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := h.index(name); i >= 0 && h.list[i].key != key {
		h.list = slices.Delete(h.list, i, i+1)
	}
}

// empty reports whether no host is remembered.
func (h *hosts) empty() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.list) == 0
}

// index returns the position of a host, -1 if it is not remembered. h.mu is held.
func (h *hosts) index(name string) int {
	return slices.IndexFunc(h.list, func(known host) bool { return known.name == name })
}

// hostOf returns the host of a request, without the name of the bucket that S3's virtual-hosted
// addresses begin with.
func hostOf(request *http.Request, bucket string) string {
	if request.URL == nil {
		return ""
	}
	if bucket == "" {
		return request.URL.Host
	}
	return strings.TrimPrefix(request.URL.Host, bucket+".")
}
