// Package certmanager provides the credentials of cert-manager's Route 53 solver.
package certmanager

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/tokenfile"
)

// TokenRequest returns a new token of a service account.
type TokenRequest func(ctx context.Context, namespace, serviceAccount string, audiences []string) (string, error)

// ServiceAccountConfig returns a configuration for Route 53 with the credentials of a role that trusts a service
// account. All challenges of the role and the service account share the credentials. The token is
// requested only for an exchange with STS.
func ServiceAccountConfig(ctx context.Context, pool *irsa.Pool, role, region string, token irsa.TokenSource) (aws.Config, error) {
	if role == "" { // the Pool would assume the controller's role
		return aws.Config{}, errors.New("a service account needs a role")
	}
	p, err := pool.Provider(irsa.RoleOptions{RoleARN: role, Region: region, SessionName: "cert-manager", Token: token})
	if err != nil {
		return aws.Config{}, err
	}
	if err := p.Ready(ctx); err != nil {
		return aws.Config{}, fmt.Errorf("credentials for Route 53: %w", err)
	}
	return p.AWSConfig(), nil
}

// ServiceAccountToken returns the token source of a service account.
func ServiceAccountToken(request TokenRequest, namespace, serviceAccount string, audiences []string) irsa.TokenSource {
	identity := fmt.Sprintf("%s/%s for %q", namespace, serviceAccount, audiences)
	return irsa.TokenFunc(identity, func(ctx context.Context) (tokenfile.Token, error) {
		text, err := request(ctx, namespace, serviceAccount, audiences)
		if err != nil {
			return tokenfile.Token{}, err
		}
		return tokenfile.Parse(text)
	})
}
