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

// Actions implemented by the kit's STS.
const (
	assumeRoleWithWebIdentity = "AssumeRoleWithWebIdentity"
	assumeRole                = "AssumeRole"
	getCallerIdentity         = "GetCallerIdentity"
)

// maxRequestBytes limits the size of a request. It leaves enough room for a percent-encoded token of
// 20,000 characters and policies of 2,048 characters.
const maxRequestBytes = 256 << 10

// A query is a request in the Query protocol, by GET or POST.
type query struct {
	cluster  *Cluster
	region   string // the region of the requested STS endpoint
	request  *http.Request
	body     []byte
	form     url.Values
	action   string
	identity identity  // set by AssumeRoleWithWebIdentity
	now      time.Time // according to the clock of the STS
}

// readQuery reads a request. Unreadable parameters are treated as missing, so that the request is
// rejected later.
func (k *Cluster) readQuery(r *http.Request) query {
	q := query{cluster: k, request: r}
	if r.Body != nil {
		q.body, _ = io.ReadAll(io.LimitReader(r.Body, maxRequestBytes)) // a truncated body is rejected as malformed
		r.Body = io.NopCloser(bytes.NewReader(q.body))
	}
	q.region = k.region
	if region, ok := k.stsRegion(r.Host); ok {
		q.region = region
	} else if found, rejected := readSignature(r); rejected == nil { // on loopback, where the host has no region
		q.region = found.region
	}
	_ = r.ParseForm() // sets r.Form to the parameters that could be parsed
	q.form = r.Form
	q.action = q.form.Get("Action")
	q.identity = parseUnverified(q.form.Get("WebIdentityToken"))
	return q
}

// hasSTSHost reports whether the requested host is an STS endpoint in the Cluster's partition.
func (q query) hasSTSHost() bool {
	_, ok := q.cluster.stsRegion(q.request.Host)
	return ok
}

// An identity is the unverified content of a web identity token.
type identity struct {
	token  *jwt.JSONWebToken
	keyID  string
	claims map[string]any // nil if it is not a token
}

// parseUnverified parses a token without verifying it.
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

// text returns the value of a string claim, or "".
func (i identity) text(claim string) string {
	s, _ := i.claims[claim].(string)
	return s
}

// time returns the value of a time claim, or the Unix epoch if there is none. Values beyond about
// 2,000 years are clamped, because int64 cannot represent all of them.
func (i identity) time(claim string) time.Time {
	const limit = 1 << 36 // seconds, more than 2,000 years
	seconds, _ := i.claims[claim].(float64)
	return time.Unix(int64(max(-limit, min(seconds, limit))), 0)
}

// checkAction rejects actions and versions not implemented by the kit's STS.
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

// duration returns the requested session duration, or one hour by default.
func (q query) duration() time.Duration {
	if seconds, err := strconv.Atoi(q.form.Get("DurationSeconds")); err == nil {
		return time.Duration(seconds) * time.Second
	}
	return time.Hour
}

// list returns the parameters <name>.member.1<suffix>, .2<suffix> and so on.
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

// tags returns the session tags in an AssumeRole request.
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
