package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/irsakit/irsakit/irsa"
)

// A spy is the HTTP client of a Provider. It records the tokens that are sent to STS.
type spy struct {
	client *http.Client

	mu   sync.Mutex
	sent []string
}

func newSpy() *spy { return &spy{client: cluster.authority.client} }

// options makes a Provider use the spy.
func (s *spy) options(o *irsa.Options) { o.HTTPClient = s }

// Do sends a request.
func (s *spy) Do(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	if form, err := url.ParseQuery(string(body)); err == nil {
		s.mu.Lock()
		s.sent = append(s.sent, form.Get("WebIdentityToken"))
		s.mu.Unlock()
	}
	return s.client.Do(request)
}

// take returns the tokens that were sent since the last call.
func (s *spy) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent = nil
	return sent
}
