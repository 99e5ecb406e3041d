package e2e

import (
	"fmt"
	"os"
	"reflect"
	"unsafe"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/kubelet/token"
	volumeutil "k8s.io/kubernetes/pkg/volume/util"
	"k8s.io/utils/clock"
)

// A kubelet writes the token volume of a pod as the kubelet's projected volume plugin does
// (pkg/volume/projected/projected.go, collectData). It uses the kubelet's token manager and
// AtomicWriter.
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

// writeToken writes a volume with one file, which has the default mode, with the AtomicWriter of
// Kubernetes.
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
