package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"time"
	"unsafe"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/kubernetes/pkg/kubelet/token"
	volumeutil "k8s.io/kubernetes/pkg/volume/util"
	"k8s.io/utils/clock"
)

// A kubelet does for the token volumes of a pod what the kubelet's projected volume plugin
// does (pkg/volume/projected/projected.go, collectData), with the kubelet's own token
// manager and AtomicWriter.
type kubelet struct {
	tokens *token.Manager
	clock  *managersClock
}

// newKubelet makes one. The manager's goroutine has no end but the process's.
func newKubelet(client kubernetes.Interface) *kubelet {
	k := &kubelet{token.NewManager(client), &managersClock{}}
	// The manager has no other way to get a clock than its own tests' way.
	field := reflect.ValueOf(k.tokens).Elem().FieldByName("clock")
	reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Set(reflect.ValueOf(k.clock))
	return k
}

// sync is what a kubelet does when it starts a pod and every minute or so afterwards.
func (k *kubelet) sync(pod *corev1.Pod) error {
	for _, volume := range pod.Spec.Volumes {
		if volume.Projected == nil {
			continue
		}
		payload, err := k.payload(pod, volume.Projected)
		if err != nil {
			return fmt.Errorf("volume %s of pod %s: %w", volume.Name, pod.Name, err)
		}
		if err := writeVolume(volumeDir(pod, volume.Name), payload); err != nil {
			return err
		}
	}
	return nil
}

// payload gets the tokens of a volume. Other sources and an fsGroup, of which the plugin
// takes care elsewhere, are not what this is about.
func (k *kubelet) payload(pod *corev1.Pod, volume *corev1.ProjectedVolumeSource) (map[string]volumeutil.FileProjection, error) {
	payload := map[string]volumeutil.FileProjection{}
	for _, source := range volume.Sources {
		if source.ServiceAccountToken == nil {
			continue
		}
		mode, user := *volume.DefaultMode, volumeutil.FsUserFrom(pod)
		if user != nil {
			mode = 0o600
		}
		tr, err := k.tokens.GetServiceAccountToken(pod.Namespace, pod.Spec.ServiceAccountName, tokenRequest(pod, source.ServiceAccountToken))
		if err != nil {
			return nil, err
		}
		payload[source.ServiceAccountToken.Path] = volumeutil.FileProjection{Data: []byte(tr.Status.Token), Mode: mode, FsUser: user}
	}
	return payload, nil
}

// tokenRequest is what the projected volume plugin asks the API server for.
func tokenRequest(pod *corev1.Pod, source *corev1.ServiceAccountTokenProjection) *authenticationv1.TokenRequest {
	var audiences []string
	if source.Audience != "" {
		audiences = []string{source.Audience}
	}
	return &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences:         audiences,
		ExpirationSeconds: source.ExpirationSeconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
}

// volumeDir is where the kubelet keeps a pod's volume.
func volumeDir(pod *corev1.Pod, name string) string {
	return filepath.Join(folder("pods"), string(pod.UID), "volumes", "kubernetes.io~projected", name)
}

// writeVolume writes the payload with Kubernetes' own AtomicWriter.
func writeVolume(dir string, payload map[string]volumeutil.FileProjection) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	writer, err := volumeutil.NewAtomicWriter(dir, "e2e")
	if err != nil {
		return err
	}
	return writer.Write(payload, nil)
}

// A managersClock is the machine's until it is made to stand still.
type managersClock struct {
	clock.RealClock
	standing atomic.Pointer[time.Time]
}

// Now is what the token manager asks for.
func (c *managersClock) Now() time.Time {
	if at := c.standing.Load(); at != nil {
		return *at
	}
	return time.Now()
}

func (c *managersClock) stand(at time.Time) { c.standing.Store(&at) }

// writeToken writes a volume with one file, as that of the webhook is.
func writeToken(dir, token string) error {
	return writeVolume(dir, map[string]volumeutil.FileProjection{"token": {Data: []byte(token), Mode: 0o644}})
}
