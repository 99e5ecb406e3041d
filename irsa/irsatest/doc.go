// Package irsatest is IAM Roles for Service Accounts without AWS and without
// Kubernetes: an OIDC issuer, pods with a projected token volume, and an STS
// that truly verifies the tokens. An application tests with it that its own
// set-up gets credentials, and what it does when it does not get them.
//
// There are only a few types: a [Cluster] has an [Issuer], an [STS], service
// accounts, roles and pods. A complete test:
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
//	func TestTheCartGetsCredentialsAndKeepsThemThroughAnOutage(t *testing.T) {
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
// [Start] listens on 127.0.0.1, for programs, child processes and clients in
// other languages: AWS_ENDPOINT_URL_STS, which [Pod.Environ] sets, leads there.
//
// # What it verifies
//
// The STS fetches the issuer's discovery document and keys, checks the
// signature, the issuer, the expiry, the audience and the role's trust, in this
// order, and refuses with AWS's codes, HTTP statuses and messages. Where a
// message is known only from public reports, the source says so beside it.
//
// # When the kit itself fails
//
// A misuse or a full disk ends the test with t.Fatal on a Cluster made by New
// and panics on one made by Start.
//
// # Never in production
//
// This is a test kit. Its signing keys are made when it starts and die with it,
// whoever reaches its server gets credentials, and those credentials are
// random characters that open nothing. It listens on the loopback interface only.
package irsatest
