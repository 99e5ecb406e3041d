package keda_test

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/docs/adoption/keda"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// operator is KEDA with ten roles, of which the last five trust only KEDA's role.
type operator struct {
	kit   *irsatest.Cluster
	roles []*irsatest.Role
	pool  *irsa.Pool
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	k := irsatest.New(t)
	sa := k.ServiceAccount("keda", "keda-operator")
	own := k.Role("keda", irsatest.Trust(sa))
	pod := k.Pod(sa, own, func(o *irsatest.PodOptions) { o.AutoRotate = true })
	op := &operator{kit: k}
	for i := range 10 {
		var trusted irsatest.Principal = sa
		if i >= 5 {
			trusted = own
		}
		op.roles = append(op.roles, k.Role(fmt.Sprintf("queue-%d", i), irsatest.Trust(trusted)))
	}
	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) { pod.Options(&o.Options); o.Logger = slog.New(slog.DiscardHandler) })
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, pool.Close()) })
	op.pool = pool
	return op
}

// trigger returns the credentials of a trigger.
func (op *operator) trigger(t *testing.T, role int) aws.CredentialsProvider {
	t.Helper()
	c, err := keda.RoleCredentials(op.pool, keda.Role{ARN: op.roles[role].ARN(), Region: "us-west-2"})
	require.NoError(t, err)
	return c
}

// count returns the number of calls of an action that ended with an error code, or "".
func (op *operator) count(action, code string) (n int) {
	for _, call := range op.kit.STS.Calls() {
		if call.Action == action && call.Err == code {
			n++
		}
	}
	return n
}

func TestCredentialsAreSharedBetweenTriggers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		op := newOperator(t)
		for role := range 10 {
			c := op.trigger(t, role)
			for range 10 {
				_, err := c.Retrieve(t.Context())
				require.NoError(t, err)
			}
		}
		// Ten web identities, of which five are denied, KEDA's own, and five of role chains.
		assert.Equal(t, 16, op.kit.STS.CallCount())
	})
}

func TestCredentialsDoNotChangeIdentityInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		op := newOperator(t)
		op.kit.STS.Fail(irsatest.Unavailable, -1)
		_, err := op.trigger(t, 0).Retrieve(t.Context())
		require.ErrorIs(t, err, irsa.ErrUnavailable)
		op.kit.STS.Recover()
		time.Sleep(time.Minute)
		_, err = op.trigger(t, 0).Retrieve(t.Context())
		require.NoError(t, err)
		for _, call := range op.kit.STS.Calls() {
			assert.Equal(t, "AssumeRoleWithWebIdentity", call.Action)
		}
	})
}

func TestCredentialsOfOneRoleDoNotWaitForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		op := newOperator(t)
		op.roles[0].Fail(irsatest.Hang, -1)
		hung := op.trigger(t, 0)
		done := make(chan error, 1)
		go func() { _, err := hung.Retrieve(t.Context()); done <- err }()
		synctest.Wait()

		start := time.Now()
		for i := 1; i < 10; i++ {
			_, err := op.trigger(t, i).Retrieve(t.Context())
			require.NoError(t, err)
		}
		assert.Zero(t, time.Since(start))
		require.Error(t, <-done)
	})
}

// A role that trusts only KEDA's role is not tried with the web identity again, until the trust
// policy changes.
func TestCredentialsFollowTheTrustPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		op := newOperator(t)
		c := op.trigger(t, 9)
		poll := func() {
			for range 2 * 120 {
				_, err := c.Retrieve(t.Context())
				require.NoError(t, err)
				time.Sleep(30 * time.Second)
			}
		}
		poll()
		denied := op.count("AssumeRoleWithWebIdentity", "AccessDenied")
		assert.LessOrEqual(t, denied, 2)

		op.roles[9].SetTrustPolicy(op.roles[0].TrustPolicy())
		time.Sleep(time.Hour) // the credentials expire
		_, err := c.Retrieve(t.Context())
		require.ErrorIs(t, err, irsa.ErrAccessDenied)
		granted := op.count("AssumeRoleWithWebIdentity", "")
		poll()
		assert.Greater(t, op.count("AssumeRoleWithWebIdentity", ""), granted)
		assert.Equal(t, denied, op.count("AssumeRoleWithWebIdentity", "AccessDenied"))
	})
}
