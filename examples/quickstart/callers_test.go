package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
)

func TestCallersCountRequests(t *testing.T) {
	t.Parallel()
	expired := aws.Credentials{AccessKeyID: "ASIAEXAMPLE", Expires: time.Unix(0, 0)}
	for name, tt := range map[string]struct {
		retrieve func(context.Context) (aws.Credentials, error)
		want     stats
	}{
		"expired": {
			func(context.Context) (aws.Credentials, error) { return expired, nil },
			stats{requests: 250 * numCallers, failed: 250 * numCallers},
		},
		"hanging": {
			func(ctx context.Context) (aws.Credentials, error) { <-ctx.Done(); return aws.Credentials{}, ctx.Err() },
			stats{requests: 2 * numCallers, failed: 2 * numCallers, waits: 2 * numCallers, longest: deadline},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := &callers{credentials: aws.CredentialsProviderFunc(tt.retrieve)}
				ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond-1)
				defer cancel()
				c.run(ctx)
				assert.Equal(t, tt.want, c.take())
				assert.Zero(t, c.take())
				assert.Equal(t, tt.want, c.total)
				_, key := c.observed()
				assert.Empty(t, key)
			})
		})
	}
}
