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

// recordingTransport records requests to STS and their responses.
type recordingTransport struct {
	http.RoundTripper
	world *world
}

func (w *world) client() *http.Client {
	return &http.Client{Transport: &recordingTransport{w.kit.HTTPClient().Transport, w}}
}

var signed = regexp.MustCompile(`Credential=([^/,\s]+)/`)

func (r *recordingTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	sent, ahead := r.world.recordRequest(form)
	response, err := r.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Body = r.world.recordBody(request, response, seen{form: form, sent: sent, ahead: ahead})
	return response, nil
}

// recordBody returns the body of a response. The response is recorded when the body is read.
func (w *world) recordBody(request *http.Request, response *http.Response, x seen) io.ReadCloser {
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	late := &lateBody{Reader: io.MultiReader(bytes.NewReader(text), response.Body)}
	x.distorted, late.pause = w.applyDistortion(response.Header)
	x.text, x.header = string(text), response.Header
	x.signer = signed.FindStringSubmatch(request.Header.Get("Authorization"))
	if err != nil {
		late.Reader = io.MultiReader(bytes.NewReader(text), iotest.ErrReader(err))
	} else {
		late.done = func() { w.recordResponse(x) }
	}
	return io.NopCloser(late)
}

// seen is a recorded exchange with STS.
type seen struct {
	form      url.Values
	text      string
	signer    []string
	sent      time.Time
	ahead     time.Duration // STS's clock relative to the node's
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

// recordRequest records a request to STS.
func (w *world) recordRequest(form url.Values) (time.Time, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, a := time.Now(), w.byName[form.Get("RoleSessionName")]
	if !w.check(a != nil, "STS is called for no actor") {
		return now, w.ahead
	}
	w.check(!a.ended, "%s calls STS after Close", a.name)
	w.check(a.closedAt.IsZero() || now.Sub(a.closedAt) <= attemptLimit, "%s calls STS after its Pool was closed", a.name)
	a.calls = append(withinAMinute(a.calls, now), now)
	a.attemptReasons = withinAMinute(a.attemptReasons, now.Add(-time.Second))
	w.check(len(a.calls) <= 20+2*len(a.attemptReasons), "%s calls STS %d times within a minute, for %d reasons", a.name, len(a.calls), len(a.attemptReasons))
	token := form.Get("WebIdentityToken")
	w.addSecrets(token, token[strings.LastIndex(token, ".")+1:])
	return now, w.ahead
}

func withinAMinute(all []time.Time, now time.Time) []time.Time {
	return slices.DeleteFunc(all, func(at time.Time) bool { return now.Sub(at) >= time.Minute })
}

// addSecrets records secrets. w.mu must be held.
func (w *world) addSecrets(secrets ...string) {
	for _, secret := range secrets {
		if len(secret) >= 16 {
			w.secrets = append(w.secrets, secret)
		}
	}
	w.secrets = w.secrets[max(len(w.secrets)-30, 0):]
}

// recordResponse records a response from STS.
func (w *world) recordResponse(x seen) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, a := time.Now(), w.byName[x.form.Get("RoleSessionName")]
	if s := w.signer(x.signer); s != nil && strings.Contains(x.text, "<Code>ExpiredToken") {
		w.byName[s.name].addReason(now) // a rejection: credentials are replaced, not withdrawn
	}
	w.addSecrets(element(x.text, "SecretAccessKey"), element(x.text, "SessionToken"))
	key := element(x.text, "AccessKeyId")
	expiration, err := time.Parse(time.RFC3339Nano, element(x.text, "Expiration"))
	if a == nil || key == "" || err != nil {
		return
	}
	s := x.grant(key, expiration, now)
	s.name = a.name
	w.issued[key] = s
	if !now.Before(s.certain) && !x.distorted { // too short to be used
		return
	}
	w.checkHour(a, now)
	s.keepOld(a.newest, now)
	a.older, a.newest = a.newest, s
	for _, derived := range w.byName {
		if derived.source == a {
			derived.addReason(now)
		}
	}
}

// addReason records a reason for an attempt. The world's mu must be held.
func (a *actor) addReason(now time.Time) {
	a.attemptReasons = append(a.attemptReasons, now)
	a.reasons = append(a.reasons, now)
}

// signer returns the session that signed a request, or nil. w.mu must be held.
func (w *world) signer(match []string) *grant {
	if match == nil {
		return nil
	}
	return w.issued[match[1]]
}

// element returns the text of an XML element, or "" if there is none.
func element(text, name string) string {
	_, rest, _ := strings.Cut(text, "<"+name+">")
	inside, _, _ := strings.Cut(rest, "</"+name+">")
	return inside
}
