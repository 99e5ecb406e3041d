// Package tokenrequest gives the tokens of other service accounts to package irsa: those
// that the Kubernetes TokenRequest API makes, as controllers of several tenants use them.
// The controller's own service account needs the permission to create
// serviceaccounts/token in the tenants' namespaces; see README.md.
//
// There is only one function, [Of].
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

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/tokenfile"
)

const (
	// audience is STS's, in every partition.
	audience = "sts.amazonaws.com"

	// lifetime is the least that Kubernetes gives, in seconds. A token is needed for one
	// exchange, so there is no reason to have it live longer.
	lifetime = 600
)

// Of returns the source of the tokens of a service account. It asks the API server for a
// new one at each exchange with STS, some once in the life of the role's credentials, and
// its name is what tells the tenants apart in a Pool. It is safe for concurrent use.
func Of(client kubernetes.Interface, namespace, name string) irsa.TokenSource {
	return irsa.TokenFunc("serviceaccount "+namespace+"/"+name, func(ctx context.Context) (tokenfile.Token, error) {
		seconds := int64(lifetime)
		reply, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{
			Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}, ExpirationSeconds: &seconds},
		}, metav1.CreateOptions{})
		if err != nil {
			return tokenfile.Token{}, fmt.Errorf("token of service account %s/%s: %w", namespace, name, err)
		}
		return tokenfile.Parse(reply.Status.Token)
	})
}
