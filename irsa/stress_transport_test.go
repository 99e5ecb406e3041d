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
	response.Body = r.world.watch(request, response, seen{form: form, sent: sent, ahead: ahead})
	return response, nil
}

// watch returns the body of a response. Once it is read, the world knows what it contains.
func (w *world) watch(request *http.Request, response *http.Response, x seen) io.ReadCloser {
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	late := &lateBody{Reader: io.MultiReader(bytes.NewReader(text), response.Body)}
	x.distorted, late.pause = w.distorts(response.Header)
	x.text, x.header = string(text), response.Header
	x.signer = signed.FindStringSubmatch(request.Header.Get("Authorization"))
	if err != nil {
		late.Reader = io.MultiReader(bytes.NewReader(text), iotest.ErrReader(err))
	} else {
		late.done = func() { w.receives(x) }
	}
	return io.NopCloser(late)
}

// seen is an exchange with STS.
type seen struct {
	form      url.Values
	text      string
	signer    []string
	sent      time.Time
	ahead     time.Duration // of STS's clock, relative to the node's
	header    http.Header
	distorted bool
}

// lateBody is a body that pauses before its first byte.
type lateBody struct {
	io.Reader
	pause time.Duration
	done  func() // called after the pause
}

func (b *lateBody) Read(p []byte) (int, error) {
	time.Sleep(b.pause)
	if b.done != nil {
		b.done()
	}
	b.pause, b.done = 0, nil
	return b.Reader.Read(p)
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

// receives records a response of STS.
func (w *world) receives(x seen) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, a := time.Now(), w.byName[x.form.Get("RoleSessionName")]
	if s := w.signer(x.signer); s != nil && strings.Contains(x.text, "<Code>ExpiredToken") {
		w.byName[s.name].gives(now) // a rejection: its credentials are replaced, not taken away
	}
	w.hide(element(x.text, "SecretAccessKey"), element(x.text, "SessionToken"))
	key := element(x.text, "AccessKeyId")
	expiration, err := time.Parse(time.RFC3339Nano, element(x.text, "Expiration"))
	if a == nil || key == "" || err != nil {
		return
	}
	s := x.grant(key, expiration, now)
	s.name = a.name
	w.issued[key] = s
	if !now.Before(s.certain) && !x.distorted { // of no use
		return
	}
	w.checkHour(a, now)
	s.keeps(a.newest, now)
	a.older, a.newest = a.newest, s
	for _, hop := range w.byName {
		if hop.source == a {
			hop.gives(now)
		}
	}
}

// gives records a reason for an attempt. The world's mu is held.
func (a *actor) gives(now time.Time) {
	a.asks = append(a.asks, now)
	a.reasons = append(a.reasons, now)
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
