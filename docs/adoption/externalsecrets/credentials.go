// Package externalsecrets provides the credentials of the AWS provider of external-secrets.
package externalsecrets

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/tokenfile"
)

// sessionName is the name of all sessions in CloudTrail.
const sessionName = "external-secrets-provider-aws"

// ServiceAccount is a service account with its IAM role.
type ServiceAccount struct {
	Namespace, Name string
	Audiences       []string
	RoleARN         string
}

// WebIdentity returns the Provider of the service account's role. All reconciliations share it. It
// calls request for a new token only when it makes an exchange with STS.
func WebIdentity(pool *irsa.Pool, sa ServiceAccount, region string, request func(context.Context) ([]byte, error)) (*irsa.Provider, error) {
	identity := fmt.Sprintf("%s/%s for %q", sa.Namespace, sa.Name, sa.Audiences)
	token := irsa.TokenFunc(identity, func(ctx context.Context) (tokenfile.Token, error) {
		text, err := request(ctx)
		if err != nil {
			return tokenfile.Token{}, err
		}
		return tokenfile.Parse(string(text))
	})
	return pool.Provider(irsa.RoleOptions{RoleARN: sa.RoleARN, Region: region, SessionName: sessionName, Token: token, Tenant: sa.Namespace})
}

// AssumeRole returns the credentials of a role that source assumes. If source is a Provider of a
// Pool, equal calls return the same Provider. Other sources, such as static keys, use client.
func AssumeRole(source aws.CredentialsProvider, client stscreds.AssumeRoleAPIClient, roleARN string, optFns ...func(*stscreds.AssumeRoleOptions)) (aws.CredentialsProvider, error) {
	if p, ok := source.(*irsa.Provider); ok {
		return p.AssumeRole(roleARN, optFns...)
	}
	return aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, roleARN, optFns...)), nil
}
