// Package irsatest provides IAM Roles for Service Accounts without AWS and without
// Kubernetes: an OIDC issuer, pods with a projected token volume, and an STS that
// verifies tokens. Use it to test that an application obtains credentials with its real
// configuration, and how it behaves when it cannot.
//
// A [Cluster] has an [Issuer], an [STS], service accounts, roles and pods. [Options] set
// its region, its account and the URL of its issuer. A [Role] trusts a [Principal], which
// is a [ServiceAccount] or another Role. It is configured by a [RoleOption] such as [Trust],
// [TrustPolicy], [InAccount] or [MaxSessionDuration]. A [Pod] has a token file and an
// environment, configured by [PodOptions]. [TokenOptions] change a single token, and
// [Invalid] makes STS reject it. The STS injects a [Fault] on demand and records every
// [Call]. A complete test:
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
// [New] works in memory. [Cluster.HTTPClient] calls the kit directly, without opening
// sockets or reaching any other host. It supports testing/synctest if the Cluster is
// created inside the bubble. [Pod.Options] sets it only for requests to STS. A client for
// another service, created from irsa.Provider.AWSConfig, uses the real network unless the
// HTTPClient in its configuration is set.
//
// With Options.Loopback, New listens on 127.0.0.1 and AWS_ENDPOINT_URL_STS points to the
// kit. Use it for code that reads the environment ([Pod.Setenv]), child processes
// ([Pod.Environ]) and clients in other languages. [Start] does the same for programs that
// are not tests.
//
// In memory, AWS_ENDPOINT_URL_STS names a host that does not exist. Code that reads the
// environment also needs [Cluster.HTTPClient], and fails without it.
//
// # Verification
//
// The STS checks the issuer, fetches its discovery document and keys, and checks the
// signature, expiry, audience and the role's trust policy, in this order. It rejects requests
// with AWS's codes, HTTP statuses and messages. The source notes which messages are known only
// from public reports. As in AWS, request IDs, times and addresses vary between responses, so
// that tests cannot depend on them. AssumeRole and GetCallerIdentity require requests signed
// with credentials issued by the STS, using AWS Signature Version 4.
//
// [Trust] writes a role's trust policy. To test the policy that the role has in AWS, use
// [TrustPolicy]. Call.Reason explains a rejected call in more detail than AWS does, such as
// which condition does not match and which value was found instead.
//
// # Several accounts and clusters
//
// [InAccount] puts a role into another AWS account, for role chains.
// [Cluster.NewIssuer] adds the issuer of another Kubernetes cluster, and
// [Cluster.ExternalIssuer] adds a real issuer whose keys the STS fetches. An account
// accepts tokens from an issuer only after [Cluster.RegisterIssuer].
//
// # Fault injection
//
// [STS.Fail] and [Role.Fail] inject a [Fault] into calls, [STS.Down] refuses connections, and
// [STS.Recover] ends both. [Denied] returns an AccessDenied fault for a role chain, with the
// action and the type of policy in its message. Errors caused by the setup itself do not need
// a Fault. For example, [STS.SetClockSkew] leads to "Signature expired", and a signature for
// a region other than the endpoint's to "Credential should be scoped to a valid region".
//
// [Pod.Rotate] writes a new token, either valid or [Invalid]. With PodOptions.AutoRotate, the
// kubelet rotates the token automatically until [Pod.Freeze]. [Issuer.RotateKeys] and
// [Issuer.RetireKeys] replace the signing keys.
//
// # Errors of the kit
//
// Misuse of the kit, or an error such as a full disk, ends the test with t.Fatal if the
// Cluster was created by [New], and panics if it was created by [Start]. So does a trust
// policy that IAM would reject or that contains an element not supported by the kit.
//
// # Never in production
//
// This is a test kit. Its signing keys exist only in the memory of the process. Any
// client that reaches its server obtains credentials, which are random characters that do
// not grant any access. It listens only on the loopback interface.
package irsatest
