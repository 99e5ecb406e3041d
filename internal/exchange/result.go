package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
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
	credentials types.Credentials
	user        types.AssumedRoleUser // or the caller, which has only an ARN
}

// set sets the field for an element, given its text, its name and the name of the element that
// contains it.
func (r *result) set(parent, name, text []byte) error {
	switch string(parent) + ">" + string(name) {
	case "Credentials>AccessKeyId":
		return setOnce(&r.credentials.AccessKeyId, text)
	case "Credentials>SecretAccessKey":
		return setOnce(&r.credentials.SecretAccessKey, text)
	case "Credentials>SessionToken":
		return setOnce(&r.credentials.SessionToken, text)
	case "Credentials>Expiration":
		t, err := smithytime.ParseDateTime(string(text))
		if r.credentials.Expiration != nil {
			err = errTwice
		}
		r.credentials.Expiration = &t
		return err
	case "AssumedRoleUser>Arn", "GetCallerIdentityResult>Arn":
		return setOnce(&r.user.Arn, text)
	case "AssumedRoleUser>AssumedRoleId":
		return setOnce(&r.user.AssumedRoleId, text)
	}
	return nil
}

// errTwice is the error for a response with two values of a field, because a mixture of two sets of
// keys is unusable.
var errTwice = errors.New("the response contains an element twice")

// setOnce sets a field that is not set yet.
func setOnce(field **string, text []byte) error {
	if *field != nil {
		return errTwice
	}
	*field = aws.String(string(text))
	return nil
}

// keys returns the secret key and the session token.
func (r *result) keys() secrets {
	return secrets{aws.ToString(r.credentials.SecretAccessKey), aws.ToString(r.credentials.SessionToken)}
}

var (
	errNoResult = fmt.Errorf("the response contains no credentials: %w", explain.ErrNotSTS)

	// errUnusable is the error for keys with characters that are invalid in a header, such as line
	// breaks added by a gateway. Every request with them would fail, but no service would reject them.
	errUnusable = fmt.Errorf("the response contains keys with invalid characters: %w", explain.ErrNotSTS)

	// errRepeated is the error for an access key ID that repeats a secret of the request.
	errRepeated = fmt.Errorf("the response contains a secret of the request: %w", explain.ErrNotSTS)
)

// readResult reads the body of a successful response. length is its length, or negative if unknown. The
// result is empty if the body is not XML. The request ID is removed if it repeats the new keys, because
// the SDK's spans contain it.
func (r *response) readResult(body io.ReadCloser, length int64) {
	limited := &errorReader{reader: http.MaxBytesReader(nil, body, maxReply)}
	var document bytes.Buffer
	document.Grow(int(min(max(length, 0), maxReply)) + bytes.MinRead)
	_, _ = document.ReadFrom(limited) // limited records the error
	read, err := parseResult(document.Bytes())
	if err == nil {
		r.result = read
	}
	if limited.err != nil {
		r.bodyErr = r.secrets.redactError(ClientError(limited.err))
	}
	r.requestID = read.keys().identifier(r.requestID)
}

// errorReader records the error of a reader, other than io.EOF.
type errorReader struct {
	reader io.Reader
	err    error
}

func (r *errorReader) Read(p []byte) (int, error) {
	n, err := r.reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
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
			o.Credentials, o.AssumedRoleUser = &r.result.credentials, &r.result.user
		case *sts.AssumeRoleOutput:
			o.Credentials, o.AssumedRoleUser = &r.result.credentials, &r.result.user
		case *sts.GetCallerIdentityOutput:
			o.Arn = r.result.user.Arn
		}
		return out, metadata, nil
	}), middleware.Before)
}

// isDateOfSTS reports whether the Date of a successful response was set by STS. STS grants exactly
// the requested duration, so Expiration - Date must equal it, within schedule.DateTolerance.
func (r *response) isDateOfSTS() bool {
	expiration := r.result.credentials.Expiration
	return expiration != nil && (expiration.Sub(r.date)-r.requested).Abs() <= schedule.DateTolerance
}

// credentials returns the role's credentials from a response, with their expiry on the local clock.
// received is when the response was complete.
func (r *response) credentials(roleARN string, c *types.Credentials, user *types.AssumedRoleUser, received time.Time) (aws.Credentials, error) {
	if c == nil || c.AccessKeyId == nil {
		return aws.Credentials{}, errNoResult
	}
	creds := aws.Credentials{
		AccessKeyID:     aws.ToString(c.AccessKeyId),
		SecretAccessKey: aws.ToString(c.SecretAccessKey),
		SessionToken:    aws.ToString(c.SessionToken),
		CanExpire:       true,
	}
	sent := r.secrets
	r.secrets = append(slices.Clip(sent), creds.SecretAccessKey, creds.SessionToken) // errors must not contain these either
	switch {
	case !creds.HasKeys():
		return aws.Credentials{}, fmt.Errorf("the response contains credentials without keys: %w", explain.ErrNotSTS)
	case !canBeSent(creds.AccessKeyID, creds.SecretAccessKey, creds.SessionToken):
		return aws.Credentials{}, errUnusable
	case sent.occurIn(creds.AccessKeyID):
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
