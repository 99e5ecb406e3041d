// Package shop is a small application for a pod, and an example of how to test one. Its tests run
// against package irsatest, without AWS or Kubernetes. It signs links with the credentials of the
// pod's role, but does not call any AWS service.
package shop

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/irsakit/irsakit/irsa"
)

// linkLifetime is how long an upload link is valid.
const linkLifetime = 15 * time.Minute

// Uploader creates links that a customer's browser uses to upload files.
type Uploader struct {
	provider *irsa.Provider
	signing  aws.CredentialsProvider // valid for at least as long as a link
	region   string
}

// NewUploader creates an Uploader from the pod's environment. Only tests pass options.
func NewUploader(optFns ...func(*irsa.Options)) (*Uploader, error) {
	p, err := irsa.New(optFns...)
	if err != nil {
		return nil, fmt.Errorf("uploader: %w", err)
	}
	return &Uploader{provider: p, signing: p.MinTTL(linkLifetime), region: p.AWSConfig().Region}, nil
}

// Link returns a URL for uploading a file for an order with PUT.
func (u *Uploader) Link(ctx context.Context, order string) (string, error) {
	credentials, err := u.signing.Retrieve(ctx)
	if err != nil {
		return "", fmt.Errorf("link for order %s: %w", order, err)
	}
	target := fmt.Sprintf("https://shop-uploads.s3.%s.amazonaws.com/%s?X-Amz-Expires=%d", u.region, order, int(linkLifetime.Seconds()))
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, target, nil)
	if err != nil {
		return "", fmt.Errorf("link for order %s: %w", order, err)
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }) // required by S3
	link, _, err := signer.PresignHTTP(ctx, credentials, request, "UNSIGNED-PAYLOAD", "s3", u.region, time.Now())
	if err != nil {
		return "", fmt.Errorf("link for order %s: %w", order, err)
	}
	return link, nil
}

// Healthy returns the error of the last refresh of the credentials, or nil if it succeeded. It does
// not block. After an error, links can still be created until the credentials expire.
func (u *Uploader) Healthy() error { return u.provider.Status().Err }

// Close closes the Uploader and logs any error.
func (u *Uploader) Close() {
	if err := u.provider.Close(); err != nil {
		slog.Warn("closing the uploader", "error", err)
	}
}
