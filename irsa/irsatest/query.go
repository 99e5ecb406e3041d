package irsatest

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
)

const apiVersion = "2011-06-15"

// The actions that the kit's STS knows.
const (
	assumeRoleWithWebIdentity = "AssumeRoleWithWebIdentity"
	assumeRole                = "AssumeRole"
	getCallerIdentity         = "GetCallerIdentity"
)

// maxRequestBytes bounds a request: a token of 20,000 characters and policies of
// 2,048, percent-encoded, fit well.
const maxRequestBytes = 256 << 10

// A query is one request in the Query protocol, by GET or POST.
type query struct {
	cluster  *Cluster
	region   string // whose STS is asked
	request  *http.Request
	body     []byte
	form     url.Values
	action   string
	identity identity // of AssumeRoleWithWebIdentity
}

// readQuery reads a request. What cannot be read is missing, and refused later.
func (k *Cluster) readQuery(r *http.Request) query {
	q := query{cluster: k, request: r}
	if r.Body != nil {
		q.body, _ = io.ReadAll(io.LimitReader(r.Body, maxRequestBytes)) // what is cut off is rejected as broken
		r.Body = io.NopCloser(bytes.NewReader(q.body))
	}
	q.region = k.region
	if region, ok := k.stsRegion(r.Host); ok {
		q.region = region
	} else if found, rejected := readSignature(r); rejected == nil { // on loopback
		q.region = found.region
	}
	_ = r.ParseForm() // keeps what it could parse
	q.form = r.Form
	q.action = q.form.Get("Action")
	q.identity = parseUnverified(q.form.Get("WebIdentityToken"))
	return q
}

// hasSTSHost says whether the host that was asked is that of a region.
func (q query) hasSTSHost() bool {
	_, ok := q.cluster.stsRegion(q.request.Host)
	return ok
}

// An identity is what a web identity token says, not verified.
type identity struct {
	token  *jwt.JSONWebToken
	keyID  string
	claims map[string]any // nil if it is no token
}

// parseUnverified reads a token without verifying it.
func parseUnverified(raw string) identity {
	token, err := jwt.ParseSigned(raw, supportedAlgorithms())
	if err != nil {
		return identity{}
	}
	claims := map[string]any{}
	if err := token.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return identity{}
	}
	return identity{token: token, keyID: token.Headers[0].KeyID, claims: claims}
}

// text returns a claim that is a string, or "".
func (i identity) text(claim string) string {
	s, _ := i.claims[claim].(string)
	return s
}

// time returns a claim that is a time.
func (i identity) time(claim string) time.Time {
	seconds, _ := i.claims[claim].(float64)
	return time.Unix(int64(seconds), 0)
}

// checkAction refuses what the kit's STS does not know.
func (q query) checkAction() *rejection {
	version := q.form.Get("Version")
	if q.action == "" {
		return &rejection{
			status: http.StatusBadRequest, code: "MissingAction",
			message: "The request is missing an action or a required parameter.",
		}
	}
	switch q.action {
	case assumeRoleWithWebIdentity, assumeRole, getCallerIdentity:
		if version == apiVersion {
			return nil
		}
	}
	return &rejection{
		status: http.StatusBadRequest, code: "InvalidAction",
		message: "Could not find operation " + q.action + " for version " + version,
	}
}

// duration is how long the session is to last.
func (q query) duration() time.Duration {
	if seconds, err := strconv.Atoi(q.form.Get("DurationSeconds")); err == nil {
		return time.Duration(seconds) * time.Second
	}
	return time.Hour
}

// list returns the parameters <name>.member.1<below>, .2<below> and so on.
func (q query) list(name, suffix string) []string {
	var out []string
	for n := 1; ; n++ {
		key := name + ".member." + strconv.Itoa(n) + suffix
		if !q.form.Has(key) {
			return out
		}
		out = append(out, q.form.Get(key))
	}
}

// tags returns the session tags that AssumeRole asks for.
func (q query) tags() map[string][]string {
	values := q.list("Tags", ".Value")
	out := map[string][]string{}
	for n, key := range q.list("Tags", ".Key") {
		if n < len(values) {
			out[key] = []string{values[n]}
		}
	}
	return out
}
