package irsa_test

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/filetest"
	"github.com/irsakit/irsakit/internal/test/testenv"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// TestMain runs the tests without the settings of the machine. A child process keeps the environment
// that its test set.
func TestMain(m *testing.M) {
	if os.Getenv(childOutput) == "" {
		testenv.Clear()
	}
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// childOutput names the file that a child process writes.
const childOutput = "IRSA_TEST_OUTPUT"

// newCluster returns a kit that signs with ES256, because key generation is faster than with RS256.
func newCluster(t testing.TB, optFns ...func(*irsatest.Options)) *irsatest.Cluster {
	t.Helper()
	onTmpfs := func(o *irsatest.Options) { o.Dir = filetest.Tmpfs(t) }
	k := irsatest.New(t, append([]func(*irsatest.Options){onTmpfs}, optFns...)...)
	k.Issuer.SetAlgorithm("ES256")
	return k
}

// newPod returns a kit with a pod whose role trusts it.
func newPod(t *testing.T) (*irsatest.Cluster, *irsatest.Pod) {
	t.Helper()
	k := newCluster(t)
	sa := k.ServiceAccount("shop", "cart")
	return k, k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
}

// newProvider returns a Provider that is closed at the end of the test.
func newProvider(t *testing.T, optFns ...func(*irsa.Options)) *irsa.Provider {
	t.Helper()
	p, err := irsa.New(optFns...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p
}

func retrieve(t *testing.T, p aws.CredentialsProvider) aws.Credentials {
	t.Helper()
	creds, err := p.Retrieve(t.Context())
	require.NoError(t, err)
	return creds
}

// outages are the kinds of STS outages.
var outages = []struct {
	name  string
	begin func(*irsatest.STS)
	limit time.Duration // the duration of an attempt during the outage
}{
	{"connections are refused", (*irsatest.STS).Down, 0},
	{"connections are reset", failing(irsatest.Reset), 0},
	{"STS answers 503", failing(irsatest.Unavailable), 0},
	{"STS throttles", failing(irsatest.Throttling), 0},
	{"STS cannot reach the issuer", failing(irsatest.IDPCommunicationError), 0},
	{"STS hangs", failing(irsatest.Hang), 10 * time.Second},
}

func failing(fault irsatest.Fault) func(*irsatest.STS) {
	return func(s *irsatest.STS) { s.Fail(fault, -1) }
}
