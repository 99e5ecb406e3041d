package irsa_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing/iotest"
	"time"
)

// road is the way to STS. It knows who goes there and what he brings back.
type road struct {
	http.RoundTripper
	world *world
}

func (w *world) client() *http.Client {
	return &http.Client{Transport: &road{w.kit.HTTPClient().Transport, w}}
}

var signed = regexp.MustCompile(`Credential=([^/,\s]+)/`)

func (r *road) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	sent, ahead := r.world.sends(form)
	response, err := r.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	rest := response.Body.(io.Reader)
	if err != nil {
		rest = iotest.ErrReader(err)
	} else {
		r.world.receives(form.Get("RoleSessionName"), string(text), signed.FindStringSubmatch(request.Header.Get("Authorization")), sent, ahead)
	}
	response.Body = io.NopCloser(io.MultiReader(bytes.NewReader(text), rest))
	return response, nil
}

// sends takes note of a call of STS.
func (w *world) sends(form url.Values) (time.Time, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, a := time.Now(), w.byName[form.Get("RoleSessionName")]
	if !w.check(a != nil, "STS is called for nobody") {
		return now, w.ahead
	}
	w.check(!a.ended, "%s is closed and calls STS", a.name)
	w.check(a.closedAt.IsZero() || now.Sub(a.closedAt) <= attemptLimit, "%s is of a Pool that is closed and calls STS", a.name)
	a.calls = append(withinAMinute(a.calls, now), now)
	a.asks = withinAMinute(a.asks, now.Add(-time.Second))
	w.check(len(a.calls) <= 20+2*len(a.asks), "%s calls STS %d times within a minute, for %d reasons", a.name, len(a.calls), len(a.asks))
	token := form.Get("WebIdentityToken")
	w.hide(token, token[strings.LastIndex(token, ".")+1:])
	return now, w.ahead
}

func withinAMinute(all []time.Time, now time.Time) []time.Time {
	return slices.DeleteFunc(all, func(at time.Time) bool { return now.Sub(at) >= time.Minute })
}

// hide takes note of secrets. w.mu is held.
func (w *world) hide(secrets ...string) {
	for _, secret := range secrets {
		if len(secret) >= 16 {
			w.secrets = append(w.secrets, secret)
		}
	}
	w.secrets = w.secrets[max(len(w.secrets)-30, 0):]
}

// receives takes note of what STS has answered. ahead is by how much STS's clock was.
func (w *world) receives(name, text string, signer []string, sent time.Time, ahead time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, a := time.Now(), w.byName[name]
	if s := w.signer(signer); s != nil && strings.Contains(text, "<Code>ExpiredToken") && s.refused.IsZero() {
		s.refused = now
		source := w.byName[s.name]
		source.asks = append(source.asks, now)
	}
	w.hide(element(text, "SecretAccessKey"), element(text, "SessionToken"))
	key := element(text, "AccessKeyId")
	expiration, err := time.Parse(time.RFC3339Nano, element(text, "Expiration"))
	if a == nil || key == "" || err != nil {
		return
	}
	s := &grant{key: key, name: name, end: expiration.Add(-ahead)}
	// The rest is what is uncertain: the Date header has whole seconds, and STS may have
	// written it at any time of the call.
	s.certain = s.end.Add(-10*time.Second - 2*time.Second - now.Sub(sent))
	w.issued[key] = s
	if now.Before(s.certain) { // else it is of no use
		a.older, a.newest = a.newest, s
		for _, hop := range w.byName {
			if hop.source == a {
				hop.asks = append(hop.asks, now)
			}
		}
	}
}

// signer is the session that signed a request. w.mu is held.
func (w *world) signer(found []string) *grant {
	if found == nil {
		return nil
	}
	return w.issued[found[1]]
}

// element returns the text of an XML element, "" if it is not there.
func element(text, name string) string {
	_, rest, _ := strings.Cut(text, "<"+name+">")
	inside, _, _ := strings.Cut(rest, "</"+name+">")
	return inside
}
