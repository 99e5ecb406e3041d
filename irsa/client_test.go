package irsa_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/irsa"
)

// padded inserts whitespace before the credentials in each response.
type padded struct {
	http.RoundTripper
	size int
}

func (p padded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := p.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	text := strings.Replace(string(body), "<Credentials>", strings.Repeat(" ", p.size)+"<Credentials>", 1)
	response.Body, response.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	return response, err
}

func TestClientReadsResponsesUpTo256KiB(t *testing.T) {
	for size, kind := range map[int]error{200 << 10: nil, 300 << 10: irsa.ErrUnavailable} {
		k, pod := newPod(t)
		p := newProvider(t, pod.Options, func(o *irsa.Options) {
			o.HTTPClient = &http.Client{Transport: padded{k.HTTPClient().Transport, size}}
		})
		assert.ErrorIs(t, p.Refresh(t.Context()), kind, "%d bytes of white space", size)
	}
}
