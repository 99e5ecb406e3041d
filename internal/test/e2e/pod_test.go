package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/kubelet/token"
	volumeutil "k8s.io/kubernetes/pkg/volume/util"
	"k8s.io/utils/clock"

	"github.com/irsakit/irsakit/irsa"
)

const nodeName = "ip-192-168-0-1.us-west-2.compute.internal"

// A pod is a pod in the API server, with the changes of the webhook and with a written volume.
type pod struct {
	*corev1.Pod
	account *corev1.ServiceAccount
}

// podOptions contains the parts of a pod before the webhook changes it.
type podOptions struct {
	account *corev1.ServiceAccount
	pod     *corev1.Pod
	region  string // the webhook's default
}

// newPod creates a pod with one container. The role of its service account is MinIO's.
func newPod(t *testing.T, optFns ...func(*podOptions)) *pod {
	t.Helper()
	o := podOptions{
		account: &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
			Name: "cart", Annotations: map[string]string{roleAnnotation: minioRole(), regionalAnnotation: "true"},
		}},
		pod: &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "cart-7d9c4b5f6d-x2x7k", Annotations: map[string]string{}},
			Spec: corev1.PodSpec{
				NodeName: nodeName, ServiceAccountName: "cart",
				Containers: []corev1.Container{{Name: "cart", Image: "registry.example/shop/cart:1.0", Env: []corev1.EnvVar{
					{Name: "AWS_ENDPOINT_URL_STS", Value: cluster.minio.url()},
					{Name: "AWS_ENDPOINT_URL_S3", Value: cluster.minio.url()},
					{Name: "AWS_CA_BUNDLE", Value: cluster.authority.certificates()},
				}}},
			},
		},
		region: region,
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
	mutate(t, o.pod, p.account, o.region)
	p.Pod, err = core.Pods(space.Name).Create(t.Context(), o.pod, metav1.CreateOptions{})
	require.NoError(t, err)
	require.NoError(t, cluster.kubelet.sync(p.Pod))
	return p
}

// withLifetime sets the lifetime of the pod's tokens, in seconds.
func withLifetime(seconds string) func(*podOptions) {
	return func(o *podOptions) { o.pod.Annotations[expirationAnnotation] = seconds }
}

func (p *pod) token(t *testing.T) string {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(volumeDir(p.Pod), "token"))
	require.NoError(t, err)
	return string(token)
}

func (p *pod) write(t *testing.T, token string) {
	t.Helper()
	require.NoError(t, writeToken(volumeDir(p.Pod), token))
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

// ofAccount returns a token of the pod's service account with a lifetime of a day.
func (p *pod) ofAccount(t *testing.T, audiences ...string) string {
	t.Helper()
	lifetime := int64(86400)
	token, err := p.request(t.Context(), authenticationv1.TokenRequestSpec{Audiences: audiences, ExpirationSeconds: &lifetime})
	require.NoError(t, err)
	return token
}

// environ returns the environment of a container, with the directory of the volume in place of its
// mount path in the container.
func (p *pod) environ(container corev1.Container) []string {
	env := []string{"HOME=/nowhere"}
	for _, v := range container.Env {
		env = append(env, v.Name+"="+strings.Replace(v.Value, tokenMount, volumeDir(p.Pod), 1))
	}
	return env
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

// command returns a command that runs an example in the way in which the pod's container runs it: with
// the environment in the pod from the API server and the variables in env, and without that of the test.
func (p *pod) command(ctx context.Context, container corev1.Container, env []string, example string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, directory("bin/"+example), args...)
	cmd.Dir, cmd.Env = cluster.dir, append(p.environ(container), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// wrapped matches the line breaks within a paragraph of the doctor's report.
var wrapped = regexp.MustCompile(`\n {9,}`)

// doctor runs examples/doctor in a container. It returns the exit code and the report.
func (p *pod) doctor(t *testing.T, container corev1.Container, env ...string) (code int, report string) {
	t.Helper()
	cmd := p.command(t.Context(), container, env, "doctor", "-v")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, t.Output()
	err := cmd.Run()
	require.NotNil(t, cmd.ProcessState, err)
	report = wrapped.ReplaceAllString(out.String(), " ")
	t.Log(report)
	return cmd.ProcessState.ExitCode(), report
}

// A kubelet writes the token volume of a pod as the kubelet's projected volume plugin does
// (pkg/volume/projected/projected.go, collectData). It uses the kubelet's token manager and AtomicWriter.
type kubelet struct{ tokens *token.Manager }

// newKubelet returns a kubelet whose token manager uses the clock. The goroutine of the token manager
// runs until the process exits.
func newKubelet(now clock.Clock) *kubelet {
	k := &kubelet{token.NewManager(cluster.api.client)}
	// The token manager has no option for the clock. Its own tests set the field as well.
	field := reflect.ValueOf(k.tokens).Elem().FieldByName("clock")
	*(*clock.Clock)(unsafe.Pointer(field.UnsafeAddr())) = now
	return k
}

// sync writes the token that the webhook has added to a pod, if it has. A kubelet does so when it
// starts the pod and then about every minute.
func (k *kubelet) sync(pod *corev1.Pod) error {
	request := tokenRequest(pod)
	if request == nil {
		return nil
	}
	reply, err := k.tokens.GetServiceAccountToken(pod.Namespace, pod.Spec.ServiceAccountName, request)
	if err != nil {
		return fmt.Errorf("volume of pod %s: %w", pod.Name, err)
	}
	return writeToken(volumeDir(pod), reply.Status.Token)
}

// tokenRequest returns the request that the projected volume plugin sends to the API server for the
// volume of the webhook, or nil if the pod has no such volume.
func tokenRequest(pod *corev1.Pod) *authenticationv1.TokenRequest {
	for _, volume := range pod.Spec.Volumes {
		if volume.Name == tokenVolume {
			source := volume.Projected.Sources[0].ServiceAccountToken
			return &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
				Audiences:         []string{source.Audience},
				ExpirationSeconds: source.ExpirationSeconds,
				BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
			}}
		}
	}
	return nil
}

// volumeDir returns the directory in which the kubelet keeps the webhook's volume of a pod.
func volumeDir(pod *corev1.Pod) string {
	return directory("pods/" + string(pod.UID) + "/volumes/kubernetes.io~projected/" + tokenVolume)
}

// writeToken writes a volume with one file, which has the default mode, with the AtomicWriter of Kubernetes.
func writeToken(dir, token string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	writer, err := volumeutil.NewAtomicWriter(dir, "e2e")
	if err != nil {
		return err
	}
	return writer.Write(map[string]volumeutil.FileProjection{
		"token": {Data: []byte(token), Mode: corev1.ProjectedVolumeSourceDefaultMode},
	}, nil)
}
