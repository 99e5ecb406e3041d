package cache

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
)

// With valid credentials, callers must not contend for a lock. Without them, Retrieve locks only
// to wait for an attempt.
func TestRetrieveLocksOnlyToWait(t *testing.T) {
	c, _, _ := newNumbered(t)
	view := c.MinTTL(time.Minute)
	var creds aws.Credentials
	withLock := func(name string, call func()) {
		t.Helper()
		c.mu.Lock()
		defer c.mu.Unlock()
		returned := make(chan struct{})
		go func() {
			defer close(returned)
			call()
		}()
		select {
		case <-returned:
		case <-time.After(10 * time.Second):
			t.Errorf("%s acquires the lock", name)
		}
	}
	withLock("TryRetrieve of an empty Cache", func() { assert.False(t, c.TryRetrieve(&creds)) })
	key(t, c)
	withLock("TryRetrieve", func() { assert.True(t, c.TryRetrieve(&creds)) })
	for name, p := range map[string]aws.CredentialsProvider{"Retrieve": c, "Retrieve of a view": view} {
		withLock(name, func() {
			_, err := p.Retrieve(context.Background())
			assert.NoError(t, err)
		})
	}
	step(c, time.Hour, time.Hour)
	withLock("TryRetrieve of an expired Cache", func() { assert.False(t, c.TryRetrieve(&creds)) })
}
