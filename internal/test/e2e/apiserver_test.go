package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// issuer is the issuer of the API server's tokens. IAM registers neither an IP address nor a port.
const issuer = "https://kubernetes.shop.example"

// An apiServer is a Kubernetes API server with its etcd. It is the OIDC issuer of the
// service account tokens.
type apiServer struct {
	server
	client kubernetes.Interface
}

// startAPIServer starts an API server that signs tokens with the key in the file.
func startAPIServer(signingKey string) (*apiServer, error) {
	s, err := newServer()
	if err != nil {
		return nil, err
	}
	a := &apiServer{server: s}
	a.client, err = kubernetes.NewForConfig(&rest.Config{
		Host: a.url(), BearerToken: adminToken, TLSClientConfig: rest.TLSClientConfig{CAFile: cluster.authority.certificates()},
		QPS: -1, // no client-side rate limit
	})
	if err != nil {
		return nil, err
	}
	return a, a.restart(signingKey)
}

// discovery returns a client that finds the issuer at the API server.
func (a *apiServer) discovery() *http.Client {
	transport := cluster.authority.client.Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.ServerName = "127.0.0.1"
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, a.address())
	}
	return &http.Client{Transport: transport}
}

// restart stops the API server if it runs, starts it and waits until it is ready. The server publishes
// the signing key and the older keys.
func (a *apiServer) restart(signingKey string, older ...string) error {
	a.stop()
	flags := []string{
		directory("control-plane"),
		"--bind-address=127.0.0.1",
		"--secure-port=" + a.port,
		"--tls-cert-file=" + cluster.authority.certificates(),
		"--tls-private-key-file=" + cluster.authority.key(),
		"--token-auth-file=" + cluster.authority.tokens(),
		"--authorization-mode=RBAC",
		"--service-account-issuer=" + issuer,
		"--service-account-jwks-uri=" + a.url() + "/openid/v1/jwks",
		"--service-account-extend-token-expiration=false",
		"--service-account-max-token-expiration=24h", // as in EKS
		"--service-account-signing-key-file=" + signingKey,
		"--service-cluster-ip-range=10.0.0.0/24",
		"--endpoint-reconciler-type=none", // there is only a loopback address, which cannot be an endpoint
	}
	for _, key := range append(older, signingKey) {
		flags = append(flags, "--service-account-key-file="+key)
	}
	return a.run(exec.Command(cluster.programs.controlPlane, flags...), directory("apiserver.log"), a.ready)
}

// ready returns the reason why the API server is not ready yet. It also makes discovery public.
func (a *apiServer) ready(ctx context.Context) error {
	if err := a.client.CoreV1().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error(); err != nil {
		return err
	}
	if err := a.openDiscovery(ctx); err != nil {
		return err
	}
	response, err := cluster.authority.client.Get(a.url() + "/.well-known/openid-configuration")
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // only the status is used
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("discovery: %s", response.Status)
	}
	return nil
}

// openDiscovery lets unauthenticated users read the discovery document and the keys. An
// administrator must do this if the API server itself is the public issuer.
func (a *apiServer) openDiscovery(ctx context.Context) error {
	_, err := a.client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "open-discovery"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:service-account-issuer-discovery"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:unauthenticated"}},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
