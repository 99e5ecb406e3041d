package cache

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
)

// countingMutex counts how often it is locked.
type countingMutex struct {
	sync.Mutex
	count int
}

func (m *countingMutex) Lock() {
	m.Mutex.Lock()
	m.count++
}

func TestRetrieveLocksOnceBeforeItsAttempt(t *testing.T) {
	for name, provider := range map[string]func(*Cache) aws.CredentialsProvider{
		"Retrieve": func(c *Cache) aws.CredentialsProvider { return c },
		"view":     func(c *Cache) aws.CredentialsProvider { return c.MinTTL(time.Minute) },
		"TryRetrieve and then Retrieve": func(c *Cache) aws.CredentialsProvider {
			return aws.CredentialsProviderFunc(func(ctx context.Context) (creds aws.Credentials, err error) {
				if c.TryRetrieve(&creds) {
					return creds, nil
				}
				return c.Retrieve(ctx)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mu, called := &countingMutex{}, 0
				c := New(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					called++
					assert.Equal(t, 1, mu.count, "locks before the attempt")
					return aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "secret", CanExpire: true, Expires: time.Now().Add(time.Hour)}, nil
				}))
				c.mu = mu
				p := provider(c)
				mu.count = 0
				key(t, p) // empty
				mu.count = 0
				key(t, p)
				assert.Zero(t, mu.count, "locks of a cached Retrieve")
				step(c, time.Hour, time.Hour)
				mu.count = 0
				key(t, p) // expired
				assert.Equal(t, 2, called)
				assert.NoError(t, c.Close())
			})
		})
	}
}
