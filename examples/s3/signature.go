package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// signature contains the fields of AWS Signature Version 4, from the headers of a request
// or, if it is presigned, from its URL.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
type signature struct {
	presigned bool
	key       string // access key ID
	region    string
	token     string   // session token
	headers   []string // names of the signed headers
	payload   string   // SHA-256 of the body
	date      time.Time
	expiresIn time.Duration // lifetime of a presigned URL
	value     string
}

const (
	timeFormat = "20060102T150405Z"
	unsigned   = "UNSIGNED-PAYLOAD"
)

// readSignature reads the signature of a request. Missing fields are empty; check rejects
// them.
func readSignature(r *http.Request) signature {
	values := r.URL.Query()
	s := signature{presigned: values.Has("X-Amz-Signature"), payload: unsigned}
	if !s.presigned {
		values = url.Values{}
		_, fields, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		for field := range strings.SplitSeq(fields, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
			values.Set("X-Amz-"+name, value)
		}
		for _, name := range []string{"X-Amz-Date", "X-Amz-Security-Token"} {
			values.Set(name, r.Header.Get(name))
		}
		s.payload = r.Header.Get("X-Amz-Content-Sha256")
	}
	if scope := strings.Split(values.Get("X-Amz-Credential"), "/"); len(scope) == 5 {
		s.key, s.region = scope[0], scope[2]
	}
	s.token, s.value = values.Get("X-Amz-Security-Token"), values.Get("X-Amz-Signature")
	s.headers = strings.Split(values.Get("X-Amz-SignedHeaders"), ";")
	s.date, _ = time.Parse(timeFormat, values.Get("X-Amz-Date"))
	s.expiresIn, _ = time.ParseDuration(values.Get("X-Amz-Expires") + "s")
	return s
}

// check returns the error of S3 for a request that is not signed correctly, or "".
func (s *store) check(r *http.Request, body []byte) (code, message string) {
	sig := readSignature(r)
	session, ok := s.sessions()[sig.key]
	sum := sha256.Sum256(body)
	switch now := s.now(); {
	case sig.key == "":
		return "AccessDenied", "Access Denied"
	case !ok:
		return "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
	case sig.token != *session.SessionToken:
		return "InvalidToken", "The provided token is malformed or otherwise invalid."
	case sig.presigned && now.After(sig.date.Add(sig.expiresIn)):
		return "AccessDenied", "Request has expired"
	case now.After(*session.Expiration):
		return "ExpiredToken", "The provided token has expired."
	case sig.payload != unsigned && sig.payload != hex.EncodeToString(sum[:]):
		return "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."
	}
	keys := aws.Credentials{AccessKeyID: sig.key, SecretAccessKey: *session.SecretAccessKey, SessionToken: sig.token}
	if sig.value == "" || sig.value != sig.sign(r, keys) {
		return "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."
	}
	return "", ""
}

// sign computes the signature of the request for the keys with the SDK's signer.
func (s signature) sign(r *http.Request, keys aws.Credentials) string {
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableHeaderHoisting, o.DisableURIPathEscaping = true, true })
	if s.presigned {
		signed, _, err := signer.PresignHTTP(context.Background(), keys, s.signedPart(r), s.payload, "s3", s.region, s.date)
		if err != nil {
			return ""
		}
		_, rest, _ := strings.Cut(signed, "X-Amz-Signature=")
		value, _, _ := strings.Cut(rest, "&")
		return value
	}
	signed := s.signedPart(r)
	if signer.SignHTTP(context.Background(), keys, signed, s.payload, "s3", s.region, s.date) != nil {
		return ""
	}
	_, value, _ := strings.Cut(signed.Header.Get("Authorization"), "Signature=")
	return value
}

// signedPart returns the part of a request that the signature covers.
func (s signature) signedPart(r *http.Request) *http.Request {
	values := r.URL.Query()
	values.Del("X-Amz-Signature")
	target := &url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: values.Encode()}
	out := &http.Request{Method: r.Method, URL: target, Host: r.Host, Header: http.Header{}}
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
