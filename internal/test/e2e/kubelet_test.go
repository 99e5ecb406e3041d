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

// A kubelet writes the token volumes of a pod as the kubelet's projected volume plugin does
// (pkg/volume/projected/projected.go, collectData). It uses the kubelet's token manager and
// AtomicWriter.
type kubelet struct {
	tokens *token.Manager
	clock  *managersClock
}

// newKubelet returns a kubelet. The goroutine of its token manager runs until the process
// exits.
func newKubelet(client kubernetes.Interface) *kubelet {
	k := &kubelet{token.NewManager(client), &managersClock{}}
	// The token manager has no option for the clock. Its own tests set the field as well.
	field := reflect.ValueOf(k.tokens).Elem().FieldByName("clock")
	reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Set(reflect.ValueOf(k.clock))
	return k
}

// sync writes the token volumes of a pod. A kubelet does so when it starts the pod and then about
// every minute. Other sources of volumes, and an fsGroup, are not supported.
func (k *kubelet) sync(pod *corev1.Pod) error {
	for _, volume := range pod.Spec.Volumes {
		if volume.Projected == nil {
			continue
		}
		payload := map[string]volumeutil.FileProjection{}
		for _, source := range volume.Projected.Sources {
			if source.ServiceAccountToken == nil {
				continue
			}
			mode, user := *volume.Projected.DefaultMode, volumeutil.FsUserFrom(pod)
			if user != nil {
				mode = 0o600
			}
			tr, err := k.tokens.GetServiceAccountToken(pod.Namespace, pod.Spec.ServiceAccountName, tokenRequest(pod, source.ServiceAccountToken))
			if err != nil {
				return fmt.Errorf("volume %s of pod %s: %w", volume.Name, pod.Name, err)
			}
			payload[source.ServiceAccountToken.Path] = volumeutil.FileProjection{Data: []byte(tr.Status.Token), Mode: mode, FsUser: user}
		}
		if err := writeVolume(volumeDir(pod, volume.Name), payload); err != nil {
			return err
		}
	}
	return nil
}

// tokenRequest returns the request that the projected volume plugin sends to the API server.
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

// volumeDir returns the folder in which the kubelet keeps a volume of a pod.
func volumeDir(pod *corev1.Pod, name string) string {
	return filepath.Join(folder("pods"), string(pod.UID), "volumes", "kubernetes.io~projected", name)
}

// writeVolume writes the payload with the AtomicWriter of Kubernetes.
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

// A managersClock is the clock of the machine until stand stops it.
type managersClock struct {
	clock.RealClock
	standing atomic.Pointer[time.Time]
}

// Now returns the time for the token manager.
func (c *managersClock) Now() time.Time {
	if at := c.standing.Load(); at != nil {
		return *at
	}
	return time.Now()
}

func (c *managersClock) stand(at time.Time) { c.standing.Store(&at) }

// writeToken writes a volume with one file, like the volume that the webhook adds.
func writeToken(dir, token string) error {
	return writeVolume(dir, map[string]volumeutil.FileProjection{"token": {Data: []byte(token), Mode: 0o644}})
}
