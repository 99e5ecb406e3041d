package irsa

import (
	"context"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Configure makes the Provider the credentials of a configuration that was loaded otherwise, such
// as by config.LoadDefaultConfig, and adds what the clients of [Provider.AWSConfig] do: a request
// whose credentials a service rejects as expired or unknown is sent once more with new ones.
//
// Call it before any client is made from cfg, and once.
func (p *Provider) Configure(cfg *aws.Config) {
	cfg.Credentials = p
	cfg.APIOptions = append(cfg.APIOptions[:len(cfg.APIOptions):len(cfg.APIOptions)], (&renewal{p}).addTo)
}

// renewal is a middleware that sends a request once more after a service rejected its
// credentials. It stands around the client's own retries.
type renewal struct{ provider *Provider }

// ID names the middleware.
func (*renewal) ID() string { return "irsakit:renewal" }

// HandleFinalize sends the request, and sends it again if there are other credentials for it.
func (m *renewal) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	out, metadata, err := next.HandleFinalize(ctx, in)
	if err == nil {
		m.accept(ctx, metadata)
		return out, metadata, nil
	}
	rejected := rejectionOf(err, bucketOf(ctx))
	if rejected.verdict == accepted {
		return out, metadata, err
	}
	request, ok := in.Request.(*smithyhttp.Request)
	again := ok && (request.GetStream() == nil || request.IsStreamSeekable())
	waiting := ctx
	if !again { // the exchange serves later requests
		ended, end := context.WithCancel(ctx)
		end()
		waiting = ended
	}
	replaced, failure := m.provider.replace(waiting, rejected)
	switch {
	case failure != nil && again:
		return out, metadata, &rejectedError{service: err, exchange: failure}
	case !replaced || !again || request.RewindStream() != nil:
		return out, metadata, err
	}
	out, metadata, err = next.HandleFinalize(ctx, in)
	if err == nil {
		m.accept(ctx, metadata)
	} else {
		m.provider.note(rejectionOf(err, bucketOf(ctx)))
	}
	return out, metadata, err
}

// accept records that a service accepted the credentials, if it has rejected others.
func (m *renewal) accept(ctx context.Context, metadata middleware.Metadata) {
	hosts := &m.provider.known.hosts
	if hosts.empty() {
		return
	}
	if response, ok := awsmiddleware.GetRawResponse(metadata).(*smithyhttp.Response); ok && response.Response != nil && response.Request != nil {
		hosts.accept(hostOf(response.Request, bucketOf(ctx)), accessKeyOf(response.Request))
	}
}

// retryID names the middleware of the SDK that makes a client's attempts.
const retryID = "Retry"

// addTo puts the middleware around the retries of a service client.
func (m *renewal) addTo(stack *middleware.Stack) error {
	if _, retries := stack.Finalize.Get(retryID); !retries {
		return nil // a request that is only signed, not sent
	}
	if err := stack.Initialize.Add(bucketName{}, middleware.Before); err != nil {
		return err
	}
	return stack.Finalize.Insert(m, retryID, middleware.Before)
}

// bucketName is a middleware that keeps the name of the bucket of a request to S3: virtual-hosted
// addresses begin with it, and a host is one service however many buckets it has.
type bucketName struct{}

// ID names the middleware.
func (bucketName) ID() string { return "irsakit:bucket" }

// HandleInitialize keeps the field Bucket of the operation's input.
func (bucketName) HandleInitialize(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	input := reflect.Indirect(reflect.ValueOf(in.Parameters))
	if input.Kind() == reflect.Struct {
		if bucket, ok := fieldOf(input, "Bucket").(*string); ok && bucket != nil {
			ctx = middleware.WithStackValue(ctx, bucketName{}, *bucket)
		}
	}
	return next.HandleInitialize(ctx, in)
}

func fieldOf(input reflect.Value, name string) any {
	if field := input.FieldByName(name); field.IsValid() && field.CanInterface() {
		return field.Interface()
	}
	return nil
}

func bucketOf(ctx context.Context) string {
	bucket, _ := middleware.GetStackValue(ctx, bucketName{}).(string)
	return bucket
}
