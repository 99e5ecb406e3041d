package irsatest_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/filetest"
	"github.com/irsakit/irsakit/internal/test/testenv"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// TestMain runs the tests without the settings of the machine.
func TestMain(m *testing.M) {
	testenv.Clear()
	os.Exit(m.Run())
}

// world is a Cluster with a pod that may assume its role.
type world struct {
	*irsatest.Cluster
	sa   *irsatest.ServiceAccount
	role *irsatest.Role
	pod  *irsatest.Pod
}

func inMemory(t *testing.T, optFns ...func(*irsatest.Options)) *world {
	t.Helper()
	k := irsatest.New(t, append([]func(*irsatest.Options){onTmpfs(t)}, optFns...)...)
	k.Issuer.SetAlgorithm("ES256") // faster to generate than RS256 keys
	return populate(k)
}

func onLoopback(t *testing.T) *world {
	t.Helper()
	k, err := irsatest.Start(onTmpfs(t))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, k.Close()) })
	k.Issuer.SetAlgorithm("ES256")
	return populate(k)
}

func onTmpfs(t *testing.T) func(*irsatest.Options) {
	return func(o *irsatest.Options) { o.Dir = filetest.Tmpfs(t) }
}

func populate(k *irsatest.Cluster) *world {
	sa := k.ServiceAccount("shop", "cart")
	role := k.Role("s3-writer", irsatest.Trust(sa))
	return &world{k, sa, role, k.Pod(sa, role)}
}

// transports run a test in memory and on loopback.
var transports = map[string]func(*testing.T, func(*testing.T, *world)){
	"in memory in a bubble": func(t *testing.T, test func(*testing.T, *world)) {
		synctest.Test(t, func(t *testing.T) { test(t, inMemory(t)) })
	},
	"on loopback": func(t *testing.T, test func(*testing.T, *world)) { test(t, onLoopback(t)) },
}

// onBothTransports runs the test on both transports, in parallel with other tests.
func onBothTransports(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	t.Parallel()
	for name, run := range transports {
		t.Run(name, func(t *testing.T) { run(t, test) })
	}
}

// requireConnectionError checks that err is a connection error with the given number, or on Windows, where sockets
// have numbers of their own, with the given number of Winsock.
func requireConnectionError(t *testing.T, err error, number, winsock syscall.Errno) {
	t.Helper()
	require.Error(t, err)
	require.True(t, errors.Is(err, number) || errors.Is(err, winsock), err)
}

func requireRefused(t *testing.T, err error) {
	t.Helper()
	requireConnectionError(t, err, syscall.ECONNREFUSED, 10061)
}

func requireReset(t *testing.T, err error) {
	t.Helper()
	requireConnectionError(t, err, syscall.ECONNRESET, 10054)
}

func endpoint(k *irsatest.Cluster) *string {
	if e := k.STS.Endpoint(); e != "" {
		return &e
	}
	return nil
}

// client returns an AWS SDK client without credentials.
func (w *world) client() *sts.Client {
	return sts.New(sts.Options{
		Region:       w.pod.Region(),
		Credentials:  aws.AnonymousCredentials{},
		HTTPClient:   w.HTTPClient(),
		BaseEndpoint: endpoint(w.Cluster),
		Retryer:      aws.NopRetryer{},
	})
}

// assume exchanges the pod's token for credentials of its role.
func (w *world) assume(ctx context.Context, change ...func(*sts.AssumeRoleWithWebIdentityInput)) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	token, err := os.ReadFile(w.pod.TokenFile())
	if err != nil {
		return nil, err
	}
	in := &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(w.pod.RoleARN()),
		RoleSessionName:  aws.String("session"),
		WebIdentityToken: aws.String(string(token)),
	}
	for _, fn := range change {
		fn(in)
	}
	return w.client().AssumeRoleWithWebIdentity(ctx, in)
}
