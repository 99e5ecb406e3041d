package shop_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	shop "github.com/irsakit/irsakit/examples/testing"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

// mockSTS accepts every token.
type mockSTS struct{}

func (mockSTS) AssumeRoleWithWebIdentity(context.Context, *sts.AssumeRoleWithWebIdentityInput, ...func(*sts.Options)) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	return &sts.AssumeRoleWithWebIdentityOutput{Credentials: &types.Credentials{
		AccessKeyId:     aws.String("ASIAMOCK"),
		SecretAccessKey: aws.String("secret"),
		SessionToken:    aws.String("session"),
		Expiration:      aws.Time(time.Now().Add(time.Hour)),
	}}, nil
}

func TestLinkIsSignedWithMockedCredentials(t *testing.T) {
	text := irsatest.New(t).ServiceAccount("shop", "cart").Token() // a JWT that mocks do not need to verify
	u, err := shop.NewUploader(func(o *irsa.Options) {
		o.RoleARN = "arn:aws:iam::111122223333:role/uploader"
		o.Region = "us-west-2"
		o.Token = irsa.TokenFunc("shop/cart", func(context.Context) (tokenfile.Token, error) {
			return tokenfile.Parse(text)
		})
		o.STS = mockSTS{}
	})
	require.NoError(t, err)
	defer u.Close()

	link, err := u.Link(t.Context(), "4711")
	require.NoError(t, err)
	assert.Contains(t, link, "X-Amz-Credential=ASIAMOCK")
}
