package main_test

import (
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testenv"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// TestMain runs the tests without the settings of the machine.
func TestMain(m *testing.M) {
	testenv.Clear()
	os.Exit(m.Run())
}

const partnersPolicy = `{
  "Version": "2012-10-17",
  "Statement": [{
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111122223333:role/uploader"},
    "Action": "sts:AssumeRole",
    "Condition": {"StringEquals": {"sts:ExternalId": "shop-4711"}}
  }]
}`

func TestAssumeRoleInPartnerAccount(t *testing.T) {
	k := irsatest.New(t)
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)))
	reader := k.Role("reader", irsatest.InAccount("444455556666"), irsatest.TrustPolicy(partnersPolicy))
	p, err := irsa.New(pod.Options)
	require.NoError(t, err)
	defer p.Close()

	derived, err := p.AssumeRole(reader.ARN(), func(o *stscreds.AssumeRoleOptions) {
		o.ExternalID = aws.String("shop-4711")
	})
	require.NoError(t, err)
	credentials, err := derived.Retrieve(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "444455556666", credentials.AccountID)

	calls := k.STS.Calls()
	require.Len(t, calls, 2)
	assert.Equal(t, "AssumeRoleWithWebIdentity", calls[0].Action)
	assert.Equal(t, "AssumeRole", calls[1].Action)
	assert.Contains(t, calls[1].Caller, "arn:aws:sts::111122223333:assumed-role/uploader/")
}

func TestAssumeRoleRequiresExternalID(t *testing.T) {
	k := irsatest.New(t)
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)))
	reader := k.Role("reader", irsatest.InAccount("444455556666"), irsatest.TrustPolicy(partnersPolicy))
	p, err := irsa.New(pod.Options)
	require.NoError(t, err)
	defer p.Close()

	derived, err := p.AssumeRole(reader.ARN())
	require.NoError(t, err)
	_, err = derived.Retrieve(t.Context())
	require.ErrorIs(t, err, irsa.ErrAccessDenied)
	assert.Equal(t, `trust policy: statement 1: StringEquals on "sts:ExternalId" expects "shop-4711", found nothing`, k.STS.Calls()[1].Reason)
}

func TestRoleInOtherAccountTrustsServiceAccount(t *testing.T) {
	k := irsatest.New(t)
	sa := k.ServiceAccount("shop", "cart")
	k.RegisterIssuer("444455556666", k.Issuer) // the account needs its own OIDC provider
	pod := k.Pod(sa, k.Role("reader", irsatest.InAccount("444455556666"), irsatest.Trust(sa)))
	p, err := irsa.New(pod.Options)
	require.NoError(t, err)
	defer p.Close()

	credentials, err := p.Retrieve(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "444455556666", credentials.AccountID)
}
