// Package irsatest is IAM Roles for Service Accounts without AWS and without
// Kubernetes: an OIDC issuer, pods with a projected token volume, and an STS
// that truly verifies the tokens. An application tests with it that its own
// set-up gets credentials, and what it does when it does not get them.
//
// There are only a few types. A [Cluster] has an [Issuer], an [STS], service accounts,
// roles and pods; [Options] are its region, its account and its issuer's name. A
// [ServiceAccount] and a [Role] can be a [Principal] that a Role trusts; a [RoleOption]
// is [Trust], [TrustPolicy], [InAccount] or [MaxSessionDuration]. A [Pod] has a token
// file and an environment, which [PodOptions] change; [TokenOptions] make another token
// than the usual one, and an [Algorithm] is how the Issuer signs them. The STS has each
// [Fault] on demand, and a record of each [Call]. A complete test:
//
//	package shop_test
//
//	import (
//		"testing"
//
//		"github.com/stretchr/testify/assert"
//		"github.com/stretchr/testify/require"
//
//		"github.com/irsakit/irsakit/irsa"
//		"github.com/irsakit/irsakit/irsa/irsatest"
//	)
//
//	func TestCartKeepsCredentialsDuringOutage(t *testing.T) {
//		k := irsatest.New(t)
//		sa := k.ServiceAccount("shop", "cart")
//		role := k.Role("s3-writer", irsatest.Trust(sa))
//		pod := k.Pod(sa, role)
//		p, err := irsa.New(pod.Options)
//		require.NoError(t, err)
//		defer p.Close()
//
//		credentials, err := p.Retrieve(t.Context())
//		require.NoError(t, err)
//		assert.Equal(t, "111122223333", credentials.AccountID)
//
//		k.STS.Down()
//		require.Error(t, p.Refresh(t.Context()))
//		_, err = p.Retrieve(t.Context())
//		require.NoError(t, err)
//	}
//
// # Two transports
//
// [New] works in memory: [Cluster.HTTPClient] calls the kit directly, opens no
// socket and knows no other host, so a test never reaches the real network. It
// runs under testing/synctest; make the Cluster inside the bubble then.
// With Options.Loopback it listens on 127.0.0.1, for code that reads the environment
// ([Pod.Setenv]), child processes ([Pod.Environ]) and clients in other languages:
// AWS_ENDPOINT_URL_STS leads there. [Start] does the same for programs that are no tests.
//
// In memory the environment leads nowhere: code that reads it needs
// [Cluster.HTTPClient] too, and without it fails.
//
// # What it verifies
//
// The STS checks the issuer, fetches its discovery document and keys, checks the
// signature, the expiry, the audience and the role's trust policy, in this
// order, and refuses with AWS's codes, HTTP statuses and messages. Where a
// message is known only from public reports, the source says so beside it.
// AssumeRole and GetCallerIdentity take requests that are signed with credentials
// of the STS, by AWS Signature Version 4.
//
// A role's trust policy is written by [Trust], or is the one that the role has in AWS:
// see [TrustPolicy]. Call.Reason says of a call that was refused what AWS does not
// tell, such as which condition does not match and what was found instead.
//
// # More than one of them
//
// [InAccount] puts a role into another AWS account, for roles that assume each other.
// [Cluster.NewIssuer] is a further Kubernetes cluster, [Cluster.ExternalIssuer] a real one,
// whose keys the STS fetches there. An account trusts an issuer's tokens only if it knows
// the issuer: see [Cluster.RegisterIssuer].
//
// # What goes wrong
//
// [STS.Fail] and [Role.Fail] let calls meet a [Fault], [STS.Down] refuses connections,
// and [STS.Recover] ends both. [Pod.Rotate] writes a new token or a broken one, such as
// [Expired]; the kubelet does it by itself with PodOptions.AutoRotate, and not any more
// after [Pod.Freeze]. [Issuer.RotateKeys] and [Issuer.RetireKeys] replace the keys.
//
// # When the kit itself fails
//
// A misuse or a full disk ends the test with t.Fatal on a Cluster made by [New]
// and panics on one made by [Start]. So does a trust policy that
// IAM would refuse, or that has a part which the kit does not know.
//
// # Never in production
//
// This is a test kit. Its signing keys are made when it starts and die with it,
// whoever reaches its server gets credentials, and those credentials are
// random characters that open nothing. It listens on the loopback interface only.
package irsatest
