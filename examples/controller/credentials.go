package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/tokenfile"
)

// Annotations of a service account that the EKS webhook also reads.
const (
	roleAnnotation     = "eks.amazonaws.com/role-arn"
	audienceAnnotation = "eks.amazonaws.com/audience"
	defaultAudience    = "sts.amazonaws.com" // the same in all partitions
)

// tokenLifetime is the shortest token lifetime that Kubernetes allows, in seconds. Each token is used
// for only one exchange.
const tokenLifetime = 600

var errNoRole = errors.New("the service account has no annotation " + roleAnnotation)

// providers returns a provider of credentials for the last of roles. The service account's role
// assumes the first.
type providers func(account *corev1.ServiceAccount, roles []irsa.ChainedRole) (aws.CredentialsProvider, error)

// fromPool returns providers from a Pool. Reconciliations with the same service account and roles
// share one.
func fromPool(pool *irsa.Pool, api apiServer) providers {
	return func(account *corev1.ServiceAccount, roles []irsa.ChainedRole) (aws.CredentialsProvider, error) {
		role := account.Annotations[roleAnnotation]
		if role == "" {
			return nil, errNoRole // otherwise, the Pool would use the controller's own role
		}
		return pool.Provider(irsa.RoleOptions{RoleARN: role, Token: api.tokens(account), Chain: roles, Tenant: account.Namespace})
	}
}

// apiServer is a client of an API server and the server's URL, which is Host in the client's
// rest.Config.
type apiServer struct {
	client kubernetes.Interface
	url    string
}

// tokens returns a token source for a service account. It requests a new token for each exchange. The
// Pool compares sources by identity, which contains everything that the token depends on.
func (a apiServer) tokens(account *corev1.ServiceAccount) irsa.TokenSource {
	namespace, name := account.Namespace, account.Name
	audience := cmp.Or(account.Annotations[audienceAnnotation], defaultAudience)
	identity := fmt.Sprintf("service account %s/%s of %s for %s", namespace, name, a.url, audience)
	return irsa.TokenFunc(identity, func(ctx context.Context) (tokenfile.Token, error) {
		seconds := int64(tokenLifetime)
		response, err := a.client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{
			Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}, ExpirationSeconds: &seconds},
		}, metav1.CreateOptions{})
		if err != nil {
			return tokenfile.Token{}, fmt.Errorf("token of service account %s/%s: %w", namespace, name, err)
		}
		return tokenfile.Parse(response.Status.Token)
	})
}
