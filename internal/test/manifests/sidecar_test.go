package manifests

import (
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

const skipContainers = "eks.amazonaws.com/skip-containers"

// sidecar checks containers that get their credentials from a sidecar of the pod.
func (f *faults) sidecar(pod corev1.PodTemplateSpec) {
	for _, c := range pod.Spec.Containers {
		uri := value(c, "AWS_CONTAINER_CREDENTIALS_FULL_URI")
		if uri == "" {
			continue
		}
		require := func(ok bool, text string) { f.require(ok, "container %s: %s", c.Name, text) }
		require(strings.HasPrefix(uri, "http://127.0.0.1:"), "the SDKs take credentials from 127.0.0.1 only")
		skipped := strings.Split(pod.Annotations[skipContainers], ",")
		require(slices.Contains(skipped, c.Name), "it is not in "+skipContainers+", and the SDKs prefer what the webhook injects")
		require(value(c, "AWS_REGION") != "", "AWS_REGION is missing, which the webhook does not add")

		folder := path.Dir(value(c, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"))
		volume := mounted(c, folder)
		require(volume != nil && volume.ReadOnly, "the authorization token's volume is not mounted, or can be written")
		if volume == nil {
			continue
		}
		written := slices.ContainsFunc(pod.Spec.InitContainers, func(s corev1.Container) bool {
			m := mounted(s, folder)
			return is(s.RestartPolicy, corev1.ContainerRestartPolicyAlways) && m != nil && m.Name == volume.Name && !m.ReadOnly
		})
		require(written, "no sidecar that starts before it writes the authorization token")
		require(slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
			return v.Name == volume.Name && v.EmptyDir != nil && v.EmptyDir.Medium == corev1.StorageMediumMemory
		}), "the authorization token is not in memory")
	}
}

// value returns the value of an environment variable.
func value(c corev1.Container, name string) string {
	for _, e := range c.Env {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

// mounted returns what is mounted at the folder.
func mounted(c corev1.Container, folder string) *corev1.VolumeMount {
	for _, m := range c.VolumeMounts {
		if m.MountPath == folder {
			return &m
		}
	}
	return nil
}
