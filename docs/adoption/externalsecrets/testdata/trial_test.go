// Copy this file into providers/v1/aws/auth of external-secrets.

package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authv1 "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientfake "sigs.k8s.io/controller-runtime/pkg/client/fake"

	esv1 "github.com/external-secrets/external-secrets/apis/externalsecrets/v1"
	esmeta "github.com/external-secrets/external-secrets/apis/meta/v1"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestTrialReconciliations(t *testing.T) {
	k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback = true })
	sa := k.ServiceAccount("shop", "secrets")
	first := k.Role("first", irsatest.Trust(sa))
	second := k.Role("second", irsatest.Trust(first), irsatest.InAccount("444455556666"))
	third := k.Role("third", irsatest.Trust(second), irsatest.InAccount("777788889999"))
	t.Setenv("AWS_STS_ENDPOINT", k.STS.Endpoint())
	t.Setenv("AWS_ENDPOINT_URL_STS", k.STS.Endpoint())
	var tokens atomic.Int64
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		tokens.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(authv1.TokenRequest{
			TypeMeta: metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "TokenRequest"},
			Status:   authv1.TokenRequestStatus{Token: sa.Token()},
		})
	}))
	t.Cleanup(api.Close)
	kubeconfig := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(kubeconfig, fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Config","current-context":"a",
		"clusters":[{"name":"a","cluster":{"server":%q}}],"contexts":[{"name":"a","context":{"cluster":"a","user":"a"}}],"users":[{"name":"a","user":{}}]}`, api.URL), 0o600))
	t.Setenv("KUBECONFIG", kubeconfig)

	kube := clientfake.NewClientBuilder().WithObjects(&v1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "secrets", Annotations: map[string]string{"eks.amazonaws.com/role-arn": first.ARN()},
	}}).Build()
	store := &esv1.SecretStore{Spec: esv1.SecretStoreSpec{Provider: &esv1.SecretStoreProvider{AWS: &esv1.AWSProvider{
		Region:          "us-west-2",
		AdditionalRoles: []string{second.ARN()},
		Role:            third.ARN(),
		Auth:            esv1.AWSAuth{JWTAuth: &esv1.AWSJWTAuth{ServiceAccountRef: &esmeta.ServiceAccountSelector{Name: "secrets"}}},
	}}}}
	for range 20 {
		cfg, err := New(context.Background(), Opts{Store: store, Kube: kube, Namespace: "shop", AssumeRoler: DefaultSTSProvider, JWTProvider: DefaultJWTProvider})
		require.NoError(t, err)
		for range 3 {
			_, err := cfg.Credentials.Retrieve(context.Background())
			require.NoError(t, err)
		}
	}
	assert.Equal(t, 3, k.STS.CallCount())
	assert.EqualValues(t, 1, tokens.Load())
}
