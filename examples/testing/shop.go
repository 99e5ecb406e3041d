// Package shop is a small application in a pod, and an example of how to test one:
// its tests run against package irsatest, without AWS and without Kubernetes. It
// signs with the credentials of the pod's role, but calls no AWS service.
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

// linkLife is how long an upload link is good.
const linkLife = 15 * time.Minute

// Uploader makes links with which a customer's browser uploads a file.
type Uploader struct {
	provider *irsa.Provider
	signing  aws.CredentialsProvider // credentials that live as long as a link
	region   string
}

// NewUploader makes an Uploader from the environment of the pod. Tests pass options;
// main passes none.
func NewUploader(optFns ...func(*irsa.Options)) (*Uploader, error) {
	p, err := irsa.New(optFns...)
	if err != nil {
		return nil, fmt.Errorf("uploader: %w", err)
	}
	return &Uploader{provider: p, signing: p.MinTTL(linkLife), region: p.AWSConfig().Region}, nil
}

// Link returns a URL to which a file of an order can be uploaded with PUT.
func (u *Uploader) Link(ctx context.Context, order string) (string, error) {
	credentials, err := u.signing.Retrieve(ctx)
	if err != nil {
		return "", fmt.Errorf("link for order %s: %w", order, err)
	}
	target := fmt.Sprintf("https://shop-uploads.s3.%s.amazonaws.com/%s?X-Amz-Expires=%d", u.region, order, int(linkLife.Seconds()))
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, target, nil)
	if err != nil {
		return "", fmt.Errorf("link for order %s: %w", order, err)
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }) // as S3 wants it
	link, _, err := signer.PresignHTTP(ctx, credentials, request, "UNSIGNED-PAYLOAD", "s3", u.region, time.Now())
	if err != nil {
		return "", fmt.Errorf("link for order %s: %w", order, err)
	}
	return link, nil
}

// Healthy returns nil, or why the last refresh of the credentials failed. It does not
// wait. Links can be made as long as there are valid credentials.
func (u *Uploader) Healthy() error { return u.provider.Status().Err }

// Close ends the Uploader.
func (u *Uploader) Close() {
	if err := u.provider.Close(); err != nil {
		slog.Warn("closing the uploader", "error", err)
	}
}
