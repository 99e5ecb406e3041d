// Copy this file into pkg/issuer/acme/dns of cert-manager.

package dns

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubefake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	coretesting "k8s.io/client-go/testing"

	cmacme "github.com/cert-manager/cert-manager/pkg/apis/acme/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	testpkg "github.com/cert-manager/cert-manager/pkg/controller/test"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// trial returns a solver, a challenge for an issuer with a service account, and the number of
// TokenRequests.
func trial(t *testing.T) (*irsatest.Cluster, *Solver, *cmacme.Challenge, *int) {
	k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback = true })
	sa := k.ServiceAccount("shop", "dns")
	role := k.Role("dns", irsatest.Trust(sa))
	t.Setenv("AWS_ENDPOINT_URL_STS", k.STS.Endpoint())
	b := &testpkg.Builder{T: t}
	b.Init()
	s, err := NewSolver(b.Context)
	require.NoError(t, err)
	requests := 0
	client := kubefake.NewClientset()
	client.PrependReactor("create", "serviceaccounts", func(a coretesting.Action) (bool, runtime.Object, error) {
		if a.GetSubresource() != "token" {
			return false, nil, nil
		}
		requests++
		return true, &authv1.TokenRequest{Status: authv1.TokenRequestStatus{Token: sa.Token()}}, nil
	})
	b.Context.Client = client
	b.Context.RESTConfig = &rest.Config{UserAgent: "trial"}
	b.Start()
	t.Cleanup(b.Stop)
	return k, s, &cmacme.Challenge{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop"},
		Spec: cmacme.ChallengeSpec{
			IssuerRef: cmmeta.IssuerReference{Name: "letsencrypt", Kind: "Issuer"},
			Solver: cmacme.ACMEChallengeSolver{DNS01: &cmacme.ACMEChallengeSolverDNS01{Route53: &cmacme.ACMEIssuerDNS01ProviderRoute53{
				Region: "us-west-2", Role: role.ARN(), HostedZoneID: "Z1",
				Auth: &cmacme.Route53Auth{Kubernetes: &cmacme.Route53KubernetesAuth{ServiceAccountRef: &cmacme.ServiceAccountRef{Name: "dns"}}},
			}}},
		},
	}, &requests
}

func TestTrialChallenges(t *testing.T) {
	k, s, ch, requests := trial(t)
	for range 20 {
		for range 2 { // Present and CleanUp
			slv, _, err := s.solverForChallenge(context.Background(), ch)
			require.NoError(t, err)
			require.NotNil(t, slv)
		}
	}
	assert.Equal(t, 1, k.STS.CallCount())
	assert.Equal(t, 1, *requests)
}

func TestTrialDenied(t *testing.T) {
	k, s, ch, requests := trial(t)
	k.STS.Fail(irsatest.AccessDenied, -1)
	texts := map[string]int{}
	for range 20 {
		_, _, err := s.solverForChallenge(context.Background(), ch)
		require.Error(t, err)
		texts[err.Error()]++
	}
	assert.Less(t, k.STS.CallCount(), 20)
	assert.Less(t, *requests, 20)
	assert.Len(t, texts, 1)
}
