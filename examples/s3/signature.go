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

// signature is what a request carries of AWS Signature Version 4, in its headers or,
// presigned, in its URL.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
type signature struct {
	presigned bool
	key       string // access key
	region    string
	token     string   // session token
	headers   []string // that are signed
	payload   string   // SHA-256 of the body
	date      time.Time
	life      time.Duration // of a presigned URL
	value     string
}

const (
	signingTime = "20060102T150405Z"
	unsigned    = "UNSIGNED-PAYLOAD"
)

// readSignature reads what there is of it. What is missing is refused later.
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
	s.date, _ = time.Parse(signingTime, values.Get("X-Amz-Date"))
	s.life, _ = time.ParseDuration(values.Get("X-Amz-Expires") + "s")
	return s
}

// check returns S3's error for a request that is not signed as it must be, or "".
func (s *store) check(r *http.Request, body []byte) (code, message string) {
	found := readSignature(r)
	session, known := s.sessions()[found.key]
	sum := sha256.Sum256(body)
	switch now := s.now(); {
	case found.key == "":
		return "AccessDenied", "Access Denied"
	case !known:
		return "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
	case found.token != *session.SessionToken:
		return "InvalidToken", "The provided token is malformed or otherwise invalid."
	case found.presigned && now.After(found.date.Add(found.life)):
		return "AccessDenied", "Request has expired"
	case now.After(*session.Expiration):
		return "ExpiredToken", "The provided token has expired."
	case found.payload != unsigned && found.payload != hex.EncodeToString(sum[:]):
		return "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."
	}
	keys := aws.Credentials{AccessKeyID: found.key, SecretAccessKey: *session.SecretAccessKey, SessionToken: found.token}
	if found.value == "" || found.value != found.sign(r, keys) {
		return "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."
	}
	return "", ""
}

// sign makes the signature that the keys give the request, with the SDK's signer.
func (s signature) sign(r *http.Request, keys aws.Credentials) string {
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableHeaderHoisting, o.DisableURIPathEscaping = true, true })
	if s.presigned {
		again, _, err := signer.PresignHTTP(context.Background(), keys, s.covered(r), s.payload, "s3", s.region, s.date)
		if err != nil {
			return ""
		}
		_, rest, _ := strings.Cut(again, "X-Amz-Signature=")
		value, _, _ := strings.Cut(rest, "&")
		return value
	}
	again := s.covered(r)
	if signer.SignHTTP(context.Background(), keys, again, s.payload, "s3", s.region, s.date) != nil {
		return ""
	}
	_, value, _ := strings.Cut(again.Header.Get("Authorization"), "Signature=")
	return value
}

// covered is the part of a request that its signature covers.
func (s signature) covered(r *http.Request) *http.Request {
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
