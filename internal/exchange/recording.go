package exchange

import (
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/irsakit/irsakit/internal/config"
)

// recording contains the responses to one call of an STS client. An application's client may make several
// requests, even at the same time, for example to two regions.
type recording struct {
	config    *config.Config
	sent      time.Time // includes the monotonic clock reading
	requested time.Duration
	secrets   secrets

	mu        sync.Mutex
	responses []*response // in order of arrival
}

// newRecording returns an empty recording of a call that starts now. Its requests contain the given
// secrets.
func newRecording(cfg *config.Config, requested time.Duration, secrets secrets) *recording {
	return &recording{config: cfg, sent: time.Now(), requested: requested, secrets: secrets}
}

// begin returns an empty record of a request.
func (c *recording) begin() response {
	return response{sent: c.sent, requested: c.requested, secrets: c.secrets}
}

// add adds the record of a request that is complete.
func (c *recording) add(r *response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.responses = append(c.responses, r)
}

// last returns the record of the last response. Without a response, as from a mock, it is empty.
func (c *recording) last() *response { return c.with(nil) }

// with returns the record of the response that contains these credentials. If the client copied them, it
// is the record of the last response.
func (c *recording) with(credentials *types.Credentials) *response {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.IndexFunc(c.responses, func(r *response) bool { return &r.result.credentials == credentials }); i >= 0 {
		return c.responses[i]
	}
	if n := len(c.responses); n > 0 {
		return c.responses[n-1]
	}
	none := c.begin()
	return &none
}
