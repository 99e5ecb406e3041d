package shop_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	shop "github.com/irsakit/irsakit/examples/testing"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestLinkIsSignedWithRoleCredentials(t *testing.T) {
	k := irsatest.New(t)
	sa := k.ServiceAccount("shop", "cart")
	role := k.Role("uploader", irsatest.Trust(sa))
	pod := k.Pod(sa, role)
	u, err := shop.NewUploader(pod.Options)
	require.NoError(t, err)
	defer u.Close()

	link, err := u.Link(t.Context(), "4711")
	require.NoError(t, err)
	assert.Contains(t, link, "X-Amz-Security-Token=")

	require.Len(t, k.STS.Calls(), 1)
	call := k.STS.Calls()[0]
	assert.Empty(t, call.Err)
	assert.Equal(t, role.ARN(), call.RoleARN)
	assert.Equal(t, "system:serviceaccount:shop:cart", call.Subject)
	assert.Contains(t, call.SessionName, pod.Name(), "CloudTrail shows the name of the pod")
}

func TestUploaderReadsPodEnvironment(t *testing.T) {
	k := irsatest.New(t)
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)))
	pod.Setenv() // not allowed in parallel tests

	u, err := shop.NewUploader(func(o *irsa.Options) { o.HTTPClient = k.HTTPClient() })
	require.NoError(t, err)
	defer u.Close()
	_, err = u.Link(t.Context(), "4711")
	require.NoError(t, err)
}

func TestUploaderNeedsOnlyPodEnvironment(t *testing.T) {
	k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback = true }) // the environment refers to the kit's addresses
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)))
	pod.Setenv()

	u, err := shop.NewUploader() // as main does
	require.NoError(t, err)
	defer u.Close()
	_, err = u.Link(t.Context(), "4711")
	require.NoError(t, err)
	assert.Equal(t, 1, k.STS.CallCount())
}
