package irsatest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	apiVersion = "2011-06-15"
	action     = "AssumeRoleWithWebIdentity"

	// maxForm bounds a request: a token of 20,000 characters and policies of
	// 2,048, percent-encoded, fit well.
	maxForm = 256 << 10
)

// A query is one request in the Query protocol, by GET or POST.
type query struct {
	method   string
	form     url.Values
	action   string
	identity *jwt.Claims // the token's claims, not verified; nil if it is no token
}

// readQuery reads a request. What cannot be read is missing, and refused later.
func readQuery(w http.ResponseWriter, r *http.Request) query {
	if r.Body != nil {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	}
	_ = r.ParseForm() // keeps what it could parse
	return query{
		method:   r.Method,
		form:     r.Form,
		action:   r.Form.Get("Action"),
		identity: peek(r.Form.Get("WebIdentityToken")),
	}
}

// peek reads a token's claims without verifying it.
func peek(raw string) *jwt.Claims {
	// What IAM supports: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512,
	})
	if err != nil {
		return nil
	}
	var c jwt.Claims
	if err := token.UnsafeClaimsWithoutVerification(&c); err != nil {
		return nil
	}
	return &c
}

// checkAction refuses what the kit's STS does not know.
func (q query) checkAction() *refusal {
	version := q.form.Get("Version")
	switch {
	case q.action == "":
		return &refusal{http.StatusBadRequest, "MissingAction", "The request is missing an action or a required parameter."}
	case q.action != action || version != apiVersion:
		// Known only from public reports.
		return &refusal{http.StatusBadRequest, "InvalidAction",
			fmt.Sprintf("Could not find operation %s for version %s", q.action, version)}
	}
	return nil
}

// checkParameters refuses what breaks the constraints of the STS API reference,
// all at once as AWS does.
func (q query) checkParameters() *refusal {
	var v violations
	v.length(q, "RoleArn", 20, 2048)
	v.length(q, "RoleSessionName", 2, 64)
	v.length(q, "WebIdentityToken", 4, 20000)
	if q.form.Has("Policy") {
		v.length(q, "Policy", 1, 2048)
	}
	if !regexp.MustCompile(`^[\w+=,.@-]*$`).MatchString(q.form.Get("RoleSessionName")) {
		v.add(q, "RoleSessionName", `satisfy regular expression pattern: [\w+=,.@-]*`)
	}
	if seconds := q.form.Get("DurationSeconds"); seconds != "" {
		switch n, err := strconv.Atoi(seconds); {
		case err != nil:
			v.add(q, "DurationSeconds", "be a number")
		case n < 900:
			v.add(q, "DurationSeconds", "have value greater than or equal to 900")
		case n > 43200:
			v.add(q, "DurationSeconds", "have value less than or equal to 43200")
		}
	}
	switch len(v) {
	case 0:
		return q.checkRest()
	case 1:
		return invalid("1 validation error detected: " + v[0])
	default:
		return invalid(fmt.Sprintf("%d validation errors detected: %s", len(v), strings.Join(v, "; ")))
	}
}

// violations of constraints, worded as in public reports of AWS's answers.
type violations []string

func (v *violations) add(q query, key, must string) {
	shown := "'" + q.form.Get(key) + "'"
	switch {
	case !q.form.Has(key):
		shown = "null"
	case key == "WebIdentityToken":
		shown = "'***'"
	}
	parameter := strings.ToLower(key[:1]) + key[1:]
	*v = append(*v, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: Member must %s", shown, parameter, must))
}

func (v *violations) length(q query, key string, least, most int) {
	switch n := utf8.RuneCountInString(q.form.Get(key)); {
	case !q.form.Has(key):
		v.add(q, key, "not be null")
	case n < least:
		v.add(q, key, fmt.Sprintf("have length greater than or equal to %d", least))
	case n > most:
		v.add(q, key, fmt.Sprintf("have length less than or equal to %d", most))
	}
}

// checkRest refuses what is wrong beyond lengths and patterns.
func (q query) checkRest() *refusal {
	if fields := strings.SplitN(q.form.Get("RoleArn"), ":", 6); len(fields) != 6 || fields[0] != "arn" {
		return invalid("Request ARN is invalid") // known only from public reports
	}
	if policy := q.form.Get("Policy"); policy != "" && !json.Valid([]byte(policy)) {
		// Known only from public reports.
		return &refusal{http.StatusBadRequest, "MalformedPolicyDocument", "This policy contains invalid Json"}
	}
	return nil
}

func invalid(message string) *refusal {
	return &refusal{http.StatusBadRequest, "ValidationError", message}
}

// duration is how long the session is to last.
func (q query) duration() time.Duration {
	if seconds, err := strconv.Atoi(q.form.Get("DurationSeconds")); err == nil {
		return time.Duration(seconds) * time.Second
	}
	return time.Hour
}

// packedPolicySize is how much of STS's limit the session policies take, in
// percent; 0 without any. AWS packs them in a way it does not tell: this is an estimate.
func (q query) packedPolicySize() int {
	size := len(q.form.Get("Policy"))
	for key := range q.form {
		if strings.HasPrefix(key, "PolicyArns.member.") {
			size += len(q.form.Get(key))
		}
	}
	if size == 0 {
		return 0
	}
	return min(1+size*100/2048, 100)
}
