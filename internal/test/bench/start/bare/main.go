// Bare is the smallest program that gets credentials with the SDK's provider, without its config package.
package main

import (
	"context"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/irsakit/irsakit/internal/test/bench/start/ready"
)

func main() {
	client := sts.New(sts.Options{
		Region: os.Getenv("AWS_REGION"), BaseEndpoint: aws.String(os.Getenv("AWS_ENDPOINT_URL_STS")), Credentials: aws.AnonymousCredentials{},
	})
	token := stscreds.IdentityTokenFile(os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE"))
	provider := aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(client, os.Getenv("AWS_ROLE_ARN"), token))
	ready.Report(provider.Retrieve(context.Background()))
}
