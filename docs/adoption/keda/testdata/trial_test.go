// Copy this file into pkg/scalers/aws of KEDA.

package aws

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// trial returns a function that uses the credentials of a role, of which the last five trust only
// KEDA's role. Run each test in a process of its own: KEDA keeps its cache in a variable.
func trial(t *testing.T) (*irsatest.Cluster, func(trigger, role int) error, []*irsatest.Role) {
	k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback = true })
	sa := k.ServiceAccount("keda", "keda-operator")
	own := k.Role("keda", irsatest.Trust(sa))
	pod := k.Pod(sa, own)
	pod.Setenv()
	webIdentityTokenFile = pod.TokenFile()
	var roles []*irsatest.Role
	for i := range 10 {
		var trusted irsatest.Principal = sa
		if i >= 5 {
			trusted = own
		}
		roles = append(roles, k.Role(fmt.Sprintf("queue-%d", i), irsatest.Trust(trusted)))
	}
	use := func(trigger, role int) error {
		cfg, err := GetAwsConfig(context.Background(), AuthorizationMetadata{
			UsingPodIdentity: true, AwsRoleArn: roles[role].ARN(), AwsRegion: "us-west-2", TriggerUniqueKey: fmt.Sprint(trigger),
		})
		if err != nil {
			return err
		}
		_, err = cfg.Credentials.Retrieve(context.Background())
		return err
	}
	return k, use, roles
}

func TestTrialTriggers(t *testing.T) {
	k, use, _ := trial(t)
	for i := range 100 {
		require.NoError(t, use(i, i%10))
	}
	assert.Equal(t, 16, k.STS.CallCount())
}

func TestTrialUnavailable(t *testing.T) {
	k, use, _ := trial(t)
	k.STS.Fail(irsatest.Unavailable, 3)
	require.Error(t, use(0, 0))
	require.Eventually(t, func() bool { return use(0, 0) == nil }, 20*time.Second, time.Second)
	for _, c := range k.STS.Calls() {
		assert.Equal(t, "AssumeRoleWithWebIdentity", c.Action)
	}
}

func TestTrialHung(t *testing.T) {
	_, use, roles := trial(t)
	roles[0].Fail(irsatest.Hang, -1)
	var w sync.WaitGroup
	w.Go(func() { _ = use(0, 0) })
	time.Sleep(200 * time.Millisecond)
	start := time.Now()
	for i := 1; i < 5; i++ {
		require.NoError(t, use(i, i))
	}
	assert.Less(t, time.Since(start), 3*time.Second)
	roles[0].Recover()
	w.Wait()
}
