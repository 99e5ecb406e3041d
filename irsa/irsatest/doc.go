// Package irsatest provides IAM Roles for Service Accounts without AWS and without
// Kubernetes: an OIDC issuer, pods with a projected token volume, and an STS that
// verifies the tokens. Use it to test that an application obtains credentials with its
// real configuration, and how it behaves if it cannot.
//
// These are the main types. A [Cluster] has an [Issuer], an [STS], service accounts,
// roles and pods; [Options] set its region, its account and the URL of its issuer. A
// [Role] trusts a [Principal], which is a [ServiceAccount] or another Role; a
// [RoleOption] is [Trust], [TrustPolicy], [InAccount] or [MaxSessionDuration]. A [Pod]
// has a token file and an environment, configured by [PodOptions]. [TokenOptions] change
// a single token, and [Invalid] makes one that STS rejects. The STS injects each [Fault]
// on demand and records each [Call]. A complete test:
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
// socket and reaches no other host. It supports testing/synctest if the Cluster is
// created inside the bubble. [Pod.Options] sets it for the requests to STS only: a client
// of another service, made from irsa.Provider.AWSConfig, uses the real network unless
// the HTTPClient of its configuration is set.
//
// With Options.Loopback, New listens on 127.0.0.1, for code that reads the environment
// ([Pod.Setenv]), child processes ([Pod.Environ]) and clients in other languages:
// AWS_ENDPOINT_URL_STS points to the kit. [Start] does the same for programs that are not
// tests.
//
// In memory, AWS_ENDPOINT_URL_STS names a host that does not exist. Code that reads the
// environment also needs [Cluster.HTTPClient], and fails without it.
//
// # Verification
//
// The STS checks the issuer, fetches its discovery document and keys, and checks the
// signature, the expiry, the audience and the role's trust policy, in this order. It rejects
// requests with AWS's codes, HTTP statuses and messages. The source notes which messages are
// known only from public reports. Request IDs, times and addresses differ between responses,
// as in AWS, so that no test can depend on them. AssumeRole and GetCallerIdentity require
// requests that are signed with credentials of the STS, by AWS Signature Version 4.
//
// [Trust] writes the trust policy of a role. To test the policy that the role has in AWS,
// see [TrustPolicy]. Call.Reason explains a rejected call in more detail than AWS does,
// such as which condition does not match and which value was found instead.
//
// # Several accounts and clusters
//
// [InAccount] puts a role into another AWS account, for role chains.
// [Cluster.NewIssuer] adds the issuer of another Kubernetes cluster, and
// [Cluster.ExternalIssuer] adds a real issuer, from which the STS fetches the keys. An
// account accepts the tokens of an issuer only after [Cluster.RegisterIssuer].
//
// # Fault injection
//
// [STS.Fail] and [Role.Fail] inject a [Fault] into calls, [STS.Down] refuses connections,
// and [STS.Recover] ends both. [Denied] makes the AccessDenied of a role chain, with the
// action and the policy at fault in its text. Errors caused by the setup need no Fault:
// [STS.SetClockSkew] causes "Signature expired", and a signature for a region other than
// that of the endpoint to "Credential should be scoped to a valid region".
//
// [Pod.Rotate] writes a new token, valid or [Invalid]. With PodOptions.AutoRotate the kubelet
// rotates the token automatically, until [Pod.Freeze]. [Issuer.RotateKeys] and
// [Issuer.RetireKeys] replace the signing keys.
//
// # Errors of the kit
//
// Misuse of the kit, or an error such as a full disk, ends the test with t.Fatal on a
// Cluster made by [New] and panics on one made by [Start]. So does a trust policy that
// IAM would reject, or that contains an element that the kit does not support.
//
// # Never in production
//
// This is a test kit. Its signing keys exist only in the memory of the process. Any
// client that reaches its server obtains credentials, and those credentials are
// random characters that grant no access. It listens on the loopback interface only.
package irsatest
