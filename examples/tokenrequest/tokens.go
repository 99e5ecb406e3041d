// Package tokenrequest provides package irsa with tokens of other service accounts, issued
// by the Kubernetes TokenRequest API. It is for controllers that serve several tenants. The
// controller's own service account needs permission to create serviceaccounts/token in the
// tenants' namespaces; see README.md.
//
// The package contains one function, [Of].
//
//	config, err := rest.InClusterConfig()
//	…
//	client, err := kubernetes.NewForConfig(config)
//	…
//	pool, err := irsa.NewPool()
//	…
//	provider, err := pool.Provider(irsa.RoleOptions{
//		RoleARN: tenant.RoleARN,
//		Token:   tokenrequest.Of(client, tenant.Namespace, tenant.ServiceAccount),
//	})
package tokenrequest

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/tokenfile"
)

const (
	// audience is the audience of STS in all partitions.
	audience = "sts.amazonaws.com"

	// lifetime is the shortest token lifetime that Kubernetes allows, in seconds. Each token
	// is used for a single exchange.
	lifetime = 600
)

// Of returns a token source for a service account. It requests a new token from the API
// server for each exchange with STS, about once per lifetime of the role's credentials. A
// Pool distinguishes sources by their identity: the URL of the API server, the namespace,
// the name and the audience. The source is safe for concurrent use.
func Of(client kubernetes.Interface, namespace, name string) irsa.TokenSource {
	identity := fmt.Sprintf("serviceaccount %s/%s of %s for %s", namespace, name, serverURL(client), audience)
	return irsa.TokenFunc(identity, func(ctx context.Context) (tokenfile.Token, error) {
		seconds := int64(lifetime)
		response, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{
			Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}, ExpirationSeconds: &seconds},
		}, metav1.CreateOptions{})
		if err != nil {
			return tokenfile.Token{}, fmt.Errorf("token of service account %s/%s: %w", namespace, name, err)
		}
		return tokenfile.Parse(response.Status.Token)
	})
}

// serverURL returns the URL of the client's API server, or "" for a fake client. Service
// accounts of two clusters can have the same namespace and name.
func serverURL(client kubernetes.Interface) string {
	if api, ok := client.CoreV1().RESTClient().(*rest.RESTClient); ok && api != nil {
		return api.Get().URL().String()
	}
	return ""
}
