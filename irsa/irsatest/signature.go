package irsatest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	signingAlgorithm = "AWS4-HMAC-SHA256"
	signingTime      = "20060102T150405Z"
)

var authorization = regexp.MustCompile(`^` + signingAlgorithm + ` Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{64})$`)

// A signature is the AWS Signature Version 4 of a request, from its Authorization header or, if the
// request is presigned, from its URL.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
type signature struct {
	presigned   bool
	accessKeyID string
	region      string
	service     string
	headers     []string // the signed headers
	date        time.Time
	token       string // session token
	value       string // the signature itself, in hexadecimal
}

// authenticate verifies the request's signature and returns the session that made it.
func (s *STS) authenticate(ctx context.Context, q query, now time.Time) (*session, *rejection) {
	found, r := readSignature(q.request)
	if r == nil {
		r = found.checkService("sts")
	}
	if r != nil {
		return nil, r
	}
	caller, r := s.caller(found, now)
	if r != nil {
		return nil, r
	}
	if r := q.checkScope(found); r != nil {
		return nil, r
	}
	if !found.matches(ctx, q.request, hexSHA256(q.body), caller) {
		return nil, badSignatureV4()
	}
	return caller, found.checkDate(now)
}

// caller returns the session that a signature claims to be from.
func (s *STS) caller(found signature, now time.Time) (*session, *rejection) {
	caller := s.session(found.accessKeyID)
	if caller == nil || subtle.ConstantTimeCompare([]byte(caller.token), []byte(found.token)) == 0 {
		return nil, unknownSession()
	}
	if !now.Before(caller.expires) {
		return nil, expiredSession().withReason("the session ended at %s", caller.expires.UTC())
	}
	return caller, nil
}

// checkService rejects a signature for another service.
func (s signature) checkService(service string) *rejection {
	if s.service != service {
		return forbidden("SignatureDoesNotMatch", fmt.Sprintf("Credential should be scoped to correct service: '%s'. ", service))
	}
	return nil
}

// checkScope rejects a signature for another region, and a signature that covers headers modified by
// proxies. The message for another region is known only from public reports.
func (q query) checkScope(found signature) *rejection {
	for _, name := range []string{"authorization", "user-agent", "x-amzn-trace-id"} {
		if slices.Contains(found.headers, name) { // omitted by the SDK's signer, because proxies change them
			return badSignatureV4().withReason("the signature covers the header %s, which the kit cannot check", name)
		}
	}
	if found.region != q.region || !q.cluster.hasRegion(found.region) && !q.hasSTSHost() {
		return forbidden("SignatureDoesNotMatch", "Credential should be scoped to a valid region. ").withReason("the signature is for %s", found.region)
	}
	return nil
}

// readSignature returns the signature of a request without verifying it.
func readSignature(r *http.Request) (signature, *rejection) {
	form := r.URL.Query()
	if form.Has("X-Amz-Signature") {
		return newSignature(signature{presigned: true, token: form.Get("X-Amz-Security-Token"), value: form.Get("X-Amz-Signature")},
			form.Get("X-Amz-Credential"), form.Get("X-Amz-SignedHeaders"), form.Get("X-Amz-Date"))
	}
	header := r.Header.Get("Authorization")
	if header == "" {
		return signature{}, unsignedRequest()
	}
	fields := authorization.FindStringSubmatch(header)
	if fields == nil {
		return signature{}, incompleteSignature("Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. " +
			"Authorization header requires 'SignedHeaders' parameter. Authorization=" + signingAlgorithm)
	}
	all := func(name string) string { return strings.Join(r.Header.Values(name), ",") } // a second value is not valid
	return newSignature(signature{token: all("X-Amz-Security-Token"), value: fields[3]}, fields[1], fields[2], all("X-Amz-Date"))
}

// newSignature returns s with its credential scope, headers and date set.
func newSignature(s signature, credential, headers, date string) (signature, *rejection) {
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || scope[4] != "aws4_request" {
		return signature{}, incompleteSignature(fmt.Sprintf("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%s'", credential))
	}
	at, err := time.Parse(signingTime, date)
	if err != nil {
		return signature{}, incompleteSignature("Date must be in ISO-8601 'basic format'. Got '" + date + "'. See http://en.wikipedia.org/wiki/ISO_8601")
	}
	if scope[1] != at.Format("20060102") {
		return signature{}, forbidden("SignatureDoesNotMatch", fmt.Sprintf("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.", scope[1], at.Format("20060102"), date))
	}
	s.accessKeyID, s.region, s.service, s.date, s.headers = scope[0], scope[2], scope[3], at, strings.Split(headers, ";")
	return s, nil
}

// matches reports whether the signature matches the request and the caller's keys. payload is the
// hexadecimal hash of the body, or a placeholder (see payloadOf).
func (s signature) matches(ctx context.Context, r *http.Request, payload string, caller *session) bool {
	form, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return false // signed omits the invalid parameters
	}
	actual := "SignedHeaders=" + strings.Join(s.headers, ";") + ", Signature=" + s.value
	if s.presigned {
		actual = form.Encode()
	}
	expected, err := s.sign(ctx, s.signed(r), payload, caller)
	return err == nil && subtle.ConstantTimeCompare([]byte(expected), []byte(actual)) == 1
}

// sign signs a request with the caller's keys, using the SDK's signer. It returns the signed headers
// and the signature as in an Authorization header, or all parameters of a presigned request.
func (s signature) sign(ctx context.Context, request *http.Request, payload string, caller *session) (string, error) {
	keys := aws.Credentials{AccessKeyID: s.accessKeyID, SecretAccessKey: caller.secret, SessionToken: caller.token}
	signer := v4.NewSigner(func(o *v4.SignerOptions) {
		o.DisableHeaderHoisting = true
		o.DisableURIPathEscaping = s.service == "s3" // S3 does not escape the path twice
	})
	if s.presigned {
		presigned, _, err := signer.PresignHTTP(ctx, keys, request, payload, s.service, s.region, s.date)
		if err != nil {
			return "", fmt.Errorf("presigning: %w", err)
		}
		u, err := url.Parse(presigned)
		if err != nil {
			return "", fmt.Errorf("presigning: %w", err)
		}
		return u.Query().Encode(), nil
	}
	if err := signer.SignHTTP(ctx, keys, request, payload, s.service, s.region, s.date); err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	_, value, _ := strings.Cut(request.Header.Get("Authorization"), ", ")
	return value, nil
}

func hexSHA256(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// signed returns the part of a request that its signature must cover, which includes all X-Amz- headers.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func (s signature) signed(r *http.Request) *http.Request {
	host := cmp.Or(r.Host, r.URL.Host) // Host can be empty in a request to an http.RoundTripper
	target := &url.URL{Scheme: "http", Host: host, Path: r.URL.Path, RawPath: r.URL.RawPath}
	form := r.URL.Query()
	form.Del("X-Amz-Signature")
	target.RawQuery = form.Encode()
	out := &http.Request{Method: r.Method, URL: target, Host: host, Header: http.Header{}}
	for name, values := range r.Header {
		if strings.HasPrefix(name, "X-Amz-") {
			out.Header[name] = values
		}
	}
	for _, name := range s.headers {
		switch name {
		case "host":
		case "content-length":
			out.ContentLength = r.ContentLength
		default:
			out.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	return out
}

// checkDate rejects a signature that is too old or dated in the future.
func (s signature) checkDate(now time.Time) *rejection {
	age := 5 * time.Minute
	if s.presigned {
		age = 15 * time.Minute // regardless of X-Amz-Expires: https://aws.github.io/aws-eks-best-practices/security/docs/iam/
	}
	minutes := int(age.Minutes())
	switch {
	case now.Sub(s.date) > age:
		return forbidden("SignatureDoesNotMatch", fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - %d min.)",
			s.date.Format(signingTime), now.UTC().Add(-age).Format(signingTime), now.UTC().Format(signingTime), minutes))
	case s.date.Sub(now) > 5*time.Minute:
		return forbidden("SignatureDoesNotMatch", fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + 5 min.)",
			s.date.Format(signingTime), now.UTC().Add(5*time.Minute).Format(signingTime), now.UTC().Format(signingTime)))
	}
	return nil
}
