// Package keda provides the credentials of KEDA's AWS triggers.
package keda

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/irsa"
)

// sessionName is the name of all sessions in CloudTrail.
const sessionName = "KEDA"

// Role is the role of a trigger.
type Role struct{ ARN, ExternalID, Region string }

// roleCredentials are those of a role. KEDA's service account assumes it, or KEDA's role if the role
// does not trust the service account.
type roleCredentials struct {
	direct, chained *irsa.Provider
	useChain        atomic.Bool
}

// RoleCredentials returns the credentials of a role. It makes no requests: the first Retrieve does.
// Triggers of the same role share its STS calls.
func RoleCredentials(pool *irsa.Pool, role Role) (aws.CredentialsProvider, error) {
	direct, err := pool.Provider(irsa.RoleOptions{RoleARN: role.ARN, Region: role.Region, SessionName: sessionName})
	if err != nil {
		return nil, err
	}
	chained, err := pool.Provider(irsa.RoleOptions{
		Region: role.Region,
		Chain:  []irsa.ChainedRole{{RoleARN: role.ARN, ExternalID: role.ExternalID, SessionName: sessionName}},
	})
	if err != nil {
		return nil, err
	}
	return &roleCredentials{direct: direct, chained: chained}, nil
}

// Retrieve returns valid credentials. Only a permanent failure changes how the role is assumed. A
// temporary one is returned, and the Provider retries.
func (c *roleCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if c.useChain.Load() {
		creds, err := c.chained.Retrieve(ctx)
		c.useChain.Store(!permanent(err))
		return creds, err
	}
	creds, err := c.direct.Retrieve(ctx)
	if !permanent(err) {
		return creds, err
	}
	creds, err = c.chained.Retrieve(ctx)
	c.useChain.Store(!permanent(err))
	return creds, err
}

func permanent(err error) bool {
	failure, ok := errors.AsType[*irsa.Error](err)
	return ok && failure.Permanent()
}
