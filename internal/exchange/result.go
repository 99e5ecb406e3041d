package exchange

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go/middleware"
	smithytime "github.com/aws/smithy-go/time"

	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/internal/schedule"
)

// result is the part of a successful response that the library uses.
type result struct {
	Credentials     *types.Credentials
	AssumedRoleUser *types.AssumedRoleUser
	Arn             *string // of the caller
}

// resultDocument is the body of a successful response.
type resultDocument struct {
	Result struct {
		Credentials *struct {
			types.Credentials
			Expiration *dateTime
		}
		AssumedRoleUser *types.AssumedRoleUser
		Arn             *string
	} `xml:",any"`
}

// dateTime is a time in any format that the SDK accepts.
type dateTime time.Time

// UnmarshalText sets d to the time in text.
func (d *dateTime) UnmarshalText(text []byte) error {
	t, err := smithytime.ParseDateTime(string(text))
	*d = dateTime(t)
	return err
}

var (
	errNoResult = fmt.Errorf("the response contains no credentials: %w", explain.ErrNotSTS)

	// errUnusable is the error for keys with line breaks or other characters that are invalid in a
	// header, which a gateway can add. Every request would fail with them, but without being rejected
	// by a service.
	errUnusable = fmt.Errorf("the response contains keys with invalid characters: %w", explain.ErrNotSTS)

	// errRepeated is the error for an access key ID that repeats a secret of the request.
	errRepeated = fmt.Errorf("the response contains a secret of the request: %w", explain.ErrNotSTS)
)

// readResult reads the body of a successful response. The result is empty if the body is not XML.
func (r *response) readResult(body io.ReadCloser) {
	var text bytes.Buffer
	text.Grow(usualReply + bytes.MinRead)
	if _, err := text.ReadFrom(http.MaxBytesReader(nil, body, maxReply)); err != nil {
		r.bodyErr = r.secrets.redactError(ClientError(err))
		return
	}
	var document resultDocument
	if xml.Unmarshal(text.Bytes(), &document) != nil {
		return
	}
	found := document.Result
	r.result = result{AssumedRoleUser: found.AssumedRoleUser, Arn: found.Arn}
	if c := found.Credentials; c != nil {
		r.result.Credentials = &c.Credentials
		r.result.Credentials.Expiration = (*time.Time)(c.Expiration)
	}
}

// setResult adds a middleware that fills in the SDK's result, which is empty.
func (r *response) setResult(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("irsakit:result", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleDeserialize(ctx, in)
		if err != nil || !r.succeeded() {
			return out, metadata, err
		}
		switch o := out.Result.(type) {
		case *sts.AssumeRoleWithWebIdentityOutput:
			o.Credentials, o.AssumedRoleUser = r.result.Credentials, r.result.AssumedRoleUser
		case *sts.AssumeRoleOutput:
			o.Credentials, o.AssumedRoleUser = r.result.Credentials, r.result.AssumedRoleUser
		case *sts.GetCallerIdentityOutput:
			o.Arn = r.result.Arn
		}
		return out, metadata, nil
	}), middleware.Before)
}

// isDateOfSTS reports whether the Date of a successful response was set by STS. It was if Expiration
// - Date equals the requested duration, because STS grants exactly that.
func (r *response) isDateOfSTS() bool {
	if c := r.result.Credentials; c != nil && c.Expiration != nil {
		difference := c.Expiration.Sub(r.date) - r.requested
		return difference.Abs() <= schedule.DateTolerance
	}
	return false
}

// credentials returns the role's credentials from a response, with their expiry on the local clock.
// received is when the response was complete.
func (r *response) credentials(roleARN string, c *types.Credentials, user *types.AssumedRoleUser, received time.Time) (aws.Credentials, error) {
	if c == nil {
		return aws.Credentials{}, errNoResult
	}
	creds := aws.Credentials{
		AccessKeyID:     aws.ToString(c.AccessKeyId),
		SecretAccessKey: aws.ToString(c.SecretAccessKey),
		SessionToken:    aws.ToString(c.SessionToken),
		CanExpire:       true,
	}
	switch {
	case !creds.HasKeys():
		return aws.Credentials{}, fmt.Errorf("the response contains credentials without keys: %w", explain.ErrNotSTS)
	case !canBeSent(creds.AccessKeyID, creds.SecretAccessKey, creds.SessionToken):
		return aws.Credentials{}, errUnusable
	case r.secrets.occurIn(creds.AccessKeyID):
		return aws.Credentials{}, errRepeated
	case c.Expiration == nil || c.Expiration.IsZero():
		return aws.Credentials{}, fmt.Errorf("the response contains credentials without an expiry: %w", explain.ErrNotSTS)
	}
	creds.Expires = r.expiry(*c.Expiration, received)
	if left := creds.Expires.Sub(received.Round(0)); left < schedule.MinLifetime {
		return aws.Credentials{}, fmt.Errorf("the credentials in the response expire at %s: %w", c.Expiration.UTC().Format(time.RFC3339), explain.ErrClock)
	}
	account, err := r.checkAssumed(roleARN, user)
	if err != nil {
		return aws.Credentials{}, err
	}
	creds.AccountID = strings.Clone(account) // does not keep the ARN in memory
	return creds, nil
}

// canBeSent reports whether keys consist only of visible ASCII characters.
func canBeSent(keys ...string) bool {
	for _, key := range keys {
		for i := range len(key) {
			if key[i] <= ' ' || key[i] > '~' {
				return false
			}
		}
	}
	return true
}
