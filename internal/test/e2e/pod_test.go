package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/irsakit/irsakit/irsa"
)

const nodeName = "ip-192-168-0-1.us-west-2.compute.internal"

// A pod is a pod in the API server, with the changes of the webhook and with written volumes.
type pod struct {
	*corev1.Pod
	account *corev1.ServiceAccount
}

// podOptions contains the parts of a pod before the webhook changes it.
type podOptions struct {
	account *corev1.ServiceAccount
	pod     *corev1.Pod
	webhook webhook
}

// newPod creates a pod with one container. The role of its service account is MinIO's.
func newPod(t *testing.T, optFns ...func(*podOptions)) *pod {
	t.Helper()
	o := podOptions{
		account: &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
			Name: "cart", Annotations: map[string]string{roleAnnotation: minioRole()},
		}},
		pod: &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "cart-7d9c4b5f6d-x2x7k"},
			Spec: corev1.PodSpec{
				NodeName: nodeName,
				Containers: []corev1.Container{{Name: "cart", Image: "registry.example/shop/cart:1.0", Env: []corev1.EnvVar{
					{Name: "AWS_ENDPOINT_URL_STS", Value: cluster.minio.endpoint()},
					{Name: "AWS_ENDPOINT_URL_S3", Value: cluster.minio.endpoint()},
					{Name: "AWS_CA_BUNDLE", Value: cluster.authority.file("server.crt")},
				}}},
			},
		},
		webhook: webhook{region: region, regionalSTS: true},
	}
	for _, fn := range optFns {
		fn(&o)
	}
	p := &pod{}
	core := cluster.api.client.CoreV1()
	_, err := core.Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}}, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		require.NoError(t, err)
	}
	space, err := core.Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	p.account, err = core.ServiceAccounts(space.Name).Create(t.Context(), o.account, metav1.CreateOptions{})
	require.NoError(t, err)
	o.pod.Spec.ServiceAccountName = p.account.Name
	o.webhook.mutate(o.pod, p.account)
	p.Pod, err = core.Pods(space.Name).Create(t.Context(), o.pod, metav1.CreateOptions{})
	require.NoError(t, err)
	require.NoError(t, cluster.kubelet.sync(p.Pod))
	return p
}

// withLifetime sets the lifetime of the pod's tokens, in seconds.
func withLifetime(seconds string) func(*podOptions) {
	return func(o *podOptions) { o.account.Annotations[expirationAnnotation] = seconds }
}

// dir returns the folder of the volume that the webhook added.
func (p *pod) dir() string { return volumeDir(p.Pod, tokenVolume) }

// token returns the content of the pod's token file.
func (p *pod) token(t *testing.T) string {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(p.dir(), "token"))
	require.NoError(t, err)
	return string(token)
}

// environ returns the environment of a container, with the folder of a volume in place of its
// mount path in the container.
func (p *pod) environ(container corev1.Container) []string {
	var out []string
	for _, v := range container.Env {
		value := v.Value
		for _, mount := range container.VolumeMounts {
			if below, ok := strings.CutPrefix(value, mount.MountPath+"/"); ok {
				value = filepath.Join(volumeDir(p.Pod, mount.Name), below)
			}
		}
		out = append(out, v.Name+"="+value)
	}
	return out
}

// provider returns a Provider with the settings in the environment of the pod's first container. It
// does not change the environment of the test, so tests can run in parallel.
func (p *pod) provider(t *testing.T, optFns ...func(*irsa.Options)) *irsa.Provider {
	t.Helper()
	env := map[string]string{}
	for _, variable := range p.environ(p.Spec.Containers[0]) {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}
	provider, err := irsa.New(append([]func(*irsa.Options){func(o *irsa.Options) {
		o.RoleARN, o.TokenFile, o.Region = env["AWS_ROLE_ARN"], env["AWS_WEB_IDENTITY_TOKEN_FILE"], env["AWS_REGION"]
		o.Endpoint, o.HTTPClient = env["AWS_ENDPOINT_URL_STS"], cluster.authority.client
	}}, optFns...)...)
	require.NoError(t, err)
	t.Cleanup(func() { provider.Close() })
	return provider
}

// write swaps in a token with the kubelet's AtomicWriter.
func (p *pod) write(t *testing.T, token string) {
	t.Helper()
	require.NoError(t, writeToken(p.dir(), token))
}

// request requests a token of the pod's service account from the TokenRequest API.
func (p *pod) request(ctx context.Context, spec authenticationv1.TokenRequestSpec) (string, error) {
	request := &authenticationv1.TokenRequest{Spec: spec}
	reply, err := cluster.api.client.CoreV1().ServiceAccounts(p.Namespace).CreateToken(ctx, p.account.Name, request, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return reply.Status.Token, nil
}

// another returns a new token of the pod, requested as the kubelet does it.
func (p *pod) another(ctx context.Context) (string, error) {
	for _, v := range p.Spec.Volumes {
		if v.Name == tokenVolume {
			return p.request(ctx, tokenRequest(p.Pod, v.Projected.Sources[0].ServiceAccountToken).Spec)
		}
	}
	return "", errors.New("the pod has no token volume")
}

// A result is the result of a program in a container.
type result struct {
	code        int
	out, errors string
}

// wrapped matches the line breaks within a paragraph of the doctor's report.
var wrapped = regexp.MustCompile(`\n {9,}`)

// run runs a program in the way in which the pod's container runs it: with the environment in
// the pod from the API server, and without that of the test. A nil user is that of the test.
func (p *pod) run(t *testing.T, user *syscall.Credential, container corev1.Container, program string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	if program == cluster.programs.doctor {
		args = append([]string{"-v"}, args...)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Env = cluster.dir, append([]string{"HOME=/nowhere"}, p.environ(container)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: user}
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	t.Logf("%s %v has ended with %d\n%s%s", program, args, cmd.ProcessState.ExitCode(), out.Bytes(), errs.Bytes())
	return result{cmd.ProcessState.ExitCode(), wrapped.ReplaceAllString(out.String(), " "), errs.String()}
}
