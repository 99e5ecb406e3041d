package irsa

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Configure sets p as the credentials provider of an existing configuration, such as one returned by
// config.LoadDefaultConfig. It also makes clients retry a request once with new credentials if a
// service rejects its credentials as expired or unknown, as described for [Provider.AWSConfig].
//
// Call Configure before creating any clients from cfg. To use another role, configure a copy of cfg
// with its Provider. If Configure is called more than once, the last call applies.
func (p *Provider) Configure(cfg *aws.Config) {
	cfg.Credentials = p
	cfg.APIOptions = slices.Clip(append(slices.Clip(cfg.APIOptions), (&rejectionRetry{p}).addTo)) // copies of cfg share the array
}

// rejectionRetry is a middleware that retries a request once if a service rejected its credentials. It
// wraps the client's own retries.
type rejectionRetry struct{ provider *Provider }

func (*rejectionRetry) ID() string { return "irsakit:rejection-retry" }

// HandleFinalize sends the request. If its credentials are rejected and can be replaced, it retries
// the request with the new credentials.
func (m *rejectionRetry) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	// All service clients of the SDK send requests of this type. Older clients modify them, so the first
	// attempt gets a copy.
	request := in.Request.(*smithyhttp.Request)
	var sent atomic.Pointer[http.Request] // the application's middleware may send several at the same time
	ctx = middleware.WithStackValue(ctx, sentRequest{}, &sent)
	out, metadata, err := next.HandleFinalize(ctx, middleware.FinalizeInput{Request: request.Clone()})
	if err == nil {
		m.accept(ctx, sent.Load())
		return out, metadata, nil
	}
	rejected := rejectionOf(err, sent.Load(), bucketOf(ctx))
	if rejected.verdict == accepted {
		return out, metadata, err
	}
	canResend := request.GetStream() == nil || request.IsStreamSeekable()
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	if !canResend { // start the exchange for later requests, but do not wait for it
		cancel()
	}
	replaced, failure := m.provider.replace(waiting, rejected)
	switch {
	case failure != nil && canResend:
		return out, metadata, &rejectedError{service: err, exchange: failure}
	case !replaced || !canResend || request.RewindStream() != nil:
		return out, metadata, err
	}
	sent.Store(nil)
	out, metadata, second := next.HandleFinalize(ctx, in)
	var missing *Error
	switch {
	case second == nil:
		m.accept(ctx, sent.Load())
	case !hasResponse(second) && errors.As(second, &missing): // the credentials have since been withdrawn
		second = &rejectedError{service: err, exchange: missing}
	default:
		m.provider.recordRejection(rejectionOf(second, sent.Load(), bucketOf(ctx)))
	}
	return out, metadata, second
}

// accept records that a service accepted the credentials of the request that was sent, if any. It is a
// no-op until a host has rejected a key.
func (m *rejectionRetry) accept(ctx context.Context, sent *http.Request) {
	if sent != nil && !m.provider.state.hosts.empty() {
		m.provider.recordAcceptance(hostOf(sent, bucketOf(ctx)), accessKeyOf(sent))
	}
}

// retryID is the ID of the SDK's retry middleware.
const retryID = "Retry"

// addTo adds the middleware to a service client, around its retries and around the middleware that
// obtains the credentials. Clients released between November 2023 and November 2024 obtain them once,
// before the first attempt.
func (m *rejectionRetry) addTo(stack *middleware.Stack) error {
	_, _ = stack.Finalize.Remove(m.ID()) // set by an earlier call of Configure
	ids := stack.Finalize.List()
	if !slices.Contains(ids, retryID) {
		return nil // the request is only signed, not sent
	}
	outer := slices.IndexFunc(ids, func(id string) bool { return id == retryID || id == "ResolveAuthScheme" })
	return errors.Join(
		stack.Initialize.Add(bucketName{}, middleware.Before),
		stack.Deserialize.Add(sentRequest{}, middleware.After),
		stack.Finalize.Insert(m, ids[outer], middleware.Before),
	)
}

// sentRequest is a middleware that records the signed request, so that rejected credentials can be
// identified. The response might not contain it, for example if a transport redacts it for a log.
type sentRequest struct{}

func (sentRequest) ID() string { return "irsakit:request" }

// HandleDeserialize records the signed request and sends it.
func (sentRequest) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	sent, ok := middleware.GetStackValue(ctx, sentRequest{}).(*atomic.Pointer[http.Request])
	if request, isHTTP := in.Request.(*smithyhttp.Request); ok && isHTTP {
		sent.Store(request.Request)
	}
	return next.HandleDeserialize(ctx, in)
}

// bucketName is a middleware that stores the bucket name or access point ARN of an S3 request in its
// context. Virtual-hosted addresses begin with that name, but all buckets of a host are one service,
// so hosts are recorded without it.
type bucketName struct{}

func (bucketName) ID() string { return "irsakit:bucket" }

// HandleInitialize stores the Bucket field of the operation's input, if any.
func (bucketName) HandleInitialize(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	input := reflect.Indirect(reflect.ValueOf(in.Parameters))
	if input.Kind() == reflect.Struct {
		if bucket := reflect.Indirect(input.FieldByName("Bucket")); bucket.Kind() == reflect.String {
			ctx = middleware.WithStackValue(ctx, bucketName{}, bucket.String())
		}
	}
	return next.HandleInitialize(ctx, in)
}

func bucketOf(ctx context.Context) string {
	bucket, _ := middleware.GetStackValue(ctx, bucketName{}).(string)
	return bucket
}
