package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// An apiServer is a Kubernetes API server with its etcd. It is the OIDC issuer of the
// service account tokens.
type apiServer struct {
	port    int
	process *process
	client  kubernetes.Interface
}

// startAPIServer starts an API server that signs tokens with the key in the file.
func startAPIServer(signingKey string) (*apiServer, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	a := &apiServer{port: port}
	return a, a.start(signingKey)
}

// issuer is the issuer of the tokens. IAM registers neither an IP address nor a port.
func (a *apiServer) issuer() string { return "https://kubernetes.shop.example" }
func (a *apiServer) url() string    { return "https://127.0.0.1:" + strconv.Itoa(a.port) }

// discovery returns a client that finds the issuer at the API server.
func (a *apiServer) discovery() *http.Client {
	transport := cluster.authority.client.Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.ServerName = "127.0.0.1"
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(a.url(), "https://"))
	}
	return &http.Client{Transport: transport}
}

// start starts the API server and waits until it is ready. The server publishes the signing
// key and the older keys.
func (a *apiServer) start(signingKey string, older ...string) error {
	flags := []string{
		folder("control-plane/etcd"),
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(a.port),
		"--tls-cert-file=" + cluster.authority.file("server.crt"),
		"--tls-private-key-file=" + cluster.authority.file("server.key"),
		"--token-auth-file=" + cluster.authority.file("tokens.csv"),
		"--authorization-mode=RBAC",
		"--service-account-issuer=" + a.issuer(),
		"--service-account-jwks-uri=" + a.url() + "/openid/v1/jwks",
		"--service-account-extend-token-expiration=false",
		"--service-account-max-token-expiration=24h", // as in EKS
		"--service-account-signing-key-file=" + signingKey,
		"--service-cluster-ip-range=10.0.0.0/24",
		"--endpoint-reconciler-type=none", // there is only a loopback address, which cannot be an endpoint
	}
	for _, key := range append([]string{signingKey}, older...) {
		flags = append(flags, "--service-account-key-file="+key)
	}
	config := &rest.Config{
		Host: a.url(), BearerToken: adminToken, TLSClientConfig: rest.TLSClientConfig{CAFile: cluster.authority.file("server.crt")},
		QPS: -1, // no client-side rate limit
	}
	var err error
	if a.client, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	a.process, err = startServer(exec.Command(cluster.programs.controlPlane, flags...), folder("control-plane/apiserver.log"), a.ready)
	return err
}

// restart stops the API server and starts it with other keys.
func (a *apiServer) restart(signingKey string, older ...string) error {
	a.process.stop()
	return a.start(signingKey, older...)
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
