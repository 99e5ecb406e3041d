package irsa

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

const (
	// minRejectedAge is the minimum age of credentials before a host's first rejection starts an
	// exchange. It doubles with each consecutive key that the host rejects, up to maxRejectedAge.
	minRejectedAge = time.Minute
	maxRejectedAge = 30 * time.Minute

	// maxHosts limits the number of recorded hosts.
	maxHosts = 16
)

// hosts records the hosts that rejected a Provider's keys, oldest rejection first.
type hosts struct {
	mu   sync.Mutex
	list []host
}

type host struct {
	name     string
	rejected string        // the newest key that the host rejected
	reported bool          // whether the rejection of that key was reported
	minAge   time.Duration // the minimum age of that key before an exchange starts
	accepted string        // the newest key accepted since the host's first rejection
}

// reject records that a host rejected a key. It returns how old the credentials must be before an
// exchange starts, and whether to report the rejection. Only a host's first definite rejection of a
// key is reported. If more than maxHosts hosts reject a key, the excess ones are never reported,
// because otherwise they would be reported every time.
func (h *hosts) reject(name, key string, v verdict) (minAge time.Duration, report bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	entry, dropped := host{name: name}, host{}
	if i := h.index(name); i >= 0 {
		entry = h.list[i]
		h.list = slices.Delete(h.list, i, i+1)
	} else if len(h.list) == maxHosts {
		dropped, h.list = h.list[0], h.list[1:]
	}
	if entry.rejected != key {
		entry.rejected, entry.reported = key, dropped.rejected == key && dropped.reported
		entry.minAge = min(max(2*entry.minAge, minRejectedAge), maxRejectedAge)
	}
	report = v == invalidKey && !entry.reported
	entry.reported = entry.reported || report
	h.list = append(h.list, entry)
	return entry.minAge, report
}

// accept records that a host accepted a key, and clears the host's rejections unless it has rejected
// the same key. It is a no-op if the host is not recorded.
func (h *hosts) accept(name, key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.index(name)
	if i < 0 {
		return
	}
	if h.list[i].rejected != key {
		h.list[i] = host{name: name}
	}
	h.list[i].accepted = key
}

// accepts reports whether a recorded host has accepted a key.
func (h *hosts) accepts(name, key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.index(name)
	return i >= 0 && h.list[i].accepted == key
}

// empty reports whether no hosts are recorded.
func (h *hosts) empty() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.list) == 0
}

// index returns the position of a host, or -1 if it is not recorded. h.mu must be held.
func (h *hosts) index(name string) int {
	return slices.IndexFunc(h.list, func(entry host) bool { return entry.name == name })
}

// hostOf returns the host of a request. It strips the bucket name from S3's virtual-hosted addresses. If
// the bucket is the ARN of an access point, it strips the access point's name and account.
func hostOf(request *http.Request, bucket string) string {
	if request.URL == nil {
		return ""
	}
	host := request.URL.Host
	switch {
	case bucket == "":
		return host
	case arn.IsARN(bucket):
		if rest, ok := strings.CutPrefix(host, bucket[strings.LastIndexAny(bucket, "/:")+1:]); ok {
			_, host, _ = strings.Cut(rest, ".")
		}
		return host
	default:
		return strings.TrimPrefix(host, bucket+".")
	}
}
