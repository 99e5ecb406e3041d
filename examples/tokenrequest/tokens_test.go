package tokenrequest_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"

	"github.com/irsakit/irsakit/examples/tokenrequest"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// apiServer is a fake API server that issues tokens signed by the kit's issuer.
type apiServer struct {
	*fake.Clientset
	mu       sync.Mutex
	requests []*authenticationv1.TokenRequest
}

func newAPIServer(accounts map[string]*irsatest.ServiceAccount) *apiServer {
	s := &apiServer{Clientset: fake.NewClientset()}
	s.PrependReactor("create", "serviceaccounts", func(action clienttesting.Action) (bool, runtime.Object, error) {
		create := action.(clienttesting.CreateActionImpl)
		account, ok := accounts[create.GetNamespace()+"/"+create.Name]
		if !ok || create.GetSubresource() != "token" {
			return true, nil, apierrors.NewNotFound(schema.GroupResource{Resource: "serviceaccounts"}, create.Name)
		}
		request := create.GetObject().(*authenticationv1.TokenRequest).DeepCopy()
		s.mu.Lock()
		s.requests = append(s.requests, request)
		s.mu.Unlock()
		request.Status.Token = account.Token(func(o *irsatest.TokenOptions) { o.Audiences = request.Spec.Audiences })
		return true, request, nil
	})
	return s
}

func TestOfGivesEachTenantItsIdentity(t *testing.T) {
	k := irsatest.New(t)
	accounts := map[string]*irsatest.ServiceAccount{}
	var roles []*irsatest.Role
	for i := range 10 {
		namespace := fmt.Sprintf("tenant-%d", i)
		accounts[namespace+"/app"] = k.ServiceAccount(namespace, "app")
		roles = append(roles, k.Role(namespace, irsatest.Trust(accounts[namespace+"/app"])))
	}
	server := newAPIServer(accounts)
	pool := newPool(t, k)
	for i, role := range roles {
		for range 3 { // as a controller creates the source at each reconciliation
			provider, err := pool.Provider(irsa.RoleOptions{RoleARN: role.ARN(), Token: tokenrequest.Of(server, fmt.Sprintf("tenant-%d", i), "app")})
			require.NoError(t, err)
			_, err = provider.Retrieve(t.Context())
			require.NoError(t, err)
		}
	}
	assert.Len(t, k.STS.Calls(), 10)
	for i, call := range k.STS.Calls() {
		assert.Equal(t, fmt.Sprintf("system:serviceaccount:tenant-%d:app", i), call.Subject)
	}
	for _, request := range server.requests {
		assert.Equal(t, []string{"sts.amazonaws.com"}, request.Spec.Audiences)
		assert.Equal(t, int64(600), *request.Spec.ExpirationSeconds)
	}

	// The service account of another tenant cannot assume the role.
	provider, err := pool.Provider(irsa.RoleOptions{RoleARN: roles[0].ARN(), Token: tokenrequest.Of(server, "tenant-1", "app")})
	require.NoError(t, err)
	_, err = provider.Retrieve(t.Context())
	require.ErrorIs(t, err, irsa.ErrAccessDenied)
}

func TestOfReturnsAPIServerError(t *testing.T) {
	k := irsatest.New(t)
	pool := newPool(t, k)
	provider, err := pool.Provider(irsa.RoleOptions{
		RoleARN: k.Role("tenant").ARN(), Token: tokenrequest.Of(newAPIServer(nil), "tenant", "nobody"),
	})
	require.NoError(t, err)
	_, err = provider.Retrieve(t.Context())
	require.ErrorIs(t, err, irsa.ErrTokenFile)
	assert.True(t, apierrors.IsNotFound(err), err)
	assert.ErrorContains(t, err, "token of service account tenant/nobody")
}

func TestOfIdentifiesServiceAccounts(t *testing.T) {
	identity := func(host, namespace, name string) string {
		client, err := kubernetes.NewForConfig(&rest.Config{Host: host})
		require.NoError(t, err)
		return tokenrequest.Of(client, namespace, name).Identity()
	}
	first := identity("https://one.example", "shop", "cart")
	assert.Equal(t, first, identity("https://one.example", "shop", "cart"))
	for _, other := range []string{
		identity("https://two.example", "shop", "cart"),
		identity("https://one.example", "other", "cart"),
		identity("https://one.example", "shop", "other"),
	} {
		assert.NotEqual(t, first, other)
	}
	for _, part := range []string{"https://one.example", "shop/cart", "sts.amazonaws.com"} {
		assert.Contains(t, first, part)
	}
}

func newPool(t *testing.T, k *irsatest.Cluster) *irsa.Pool {
	t.Helper()
	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) {
		o.Region, o.HTTPClient, o.Logger = "us-west-2", k.HTTPClient(), slog.New(slog.DiscardHandler)
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, pool.Close()) })
	return pool
}

func Example() {
	k, err := irsatest.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer k.Close()
	app := k.ServiceAccount("tenant-1", "app")
	role := k.Role("tenant-1", irsatest.Trust(app))
	server := newAPIServer(map[string]*irsatest.ServiceAccount{"tenant-1/app": app}) // in a cluster, the client of kubernetes.NewForConfig

	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) {
		o.Region, o.Endpoint, o.HTTPClient = "us-west-2", k.STS.Endpoint(), k.HTTPClient()
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer pool.Close()
	provider, err := pool.Provider(irsa.RoleOptions{RoleARN: role.ARN(), Token: tokenrequest.Of(server, "tenant-1", "app")})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	credentials, err := provider.Retrieve(context.Background())
	fmt.Println(credentials.AccountID, err, k.STS.Calls()[0].Subject)
	// Output: 111122223333 <nil> system:serviceaccount:tenant-1:app
}
