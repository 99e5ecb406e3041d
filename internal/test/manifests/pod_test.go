package manifests

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// faults are what is wrong with a manifest.
type faults []error

func (f *faults) require(ok bool, format string, args ...any) {
	if !ok {
		*f = append(*f, fmt.Errorf(format, args...))
	}
}

// is says whether an optional field has that value.
func is[T comparable](field *T, value T) bool { return field != nil && *field == value }

// checkPod returns what a pod has of rights that it does not need, and what keeps it from
// its credentials.
// It talks to the API server if its service account has rights there.
func checkPod(pod corev1.PodTemplateSpec, talks bool) error {
	var f faults
	spec := pod.Spec
	f.require(spec.ServiceAccountName != "", "serviceAccountName is missing")
	f.require(is(spec.AutomountServiceAccountToken, talks), "automountServiceAccountToken is not %v", talks)
	f.require(!spec.HostNetwork && !spec.HostPID && !spec.HostIPC, "it shares a namespace with the node")
	for _, v := range spec.Volumes {
		f.require(v.HostPath == nil, "volume %s is the node's", v.Name)
	}
	f.identity(spec.SecurityContext)
	for _, c := range spec.InitContainers {
		f.container(c, spec.Volumes)
		f.require(!is(c.RestartPolicy, corev1.ContainerRestartPolicyAlways) || c.StartupProbe != nil,
			"sidecar %s: without startupProbe the next container does not wait for it", c.Name)
	}
	f.require(len(spec.Containers) > 0, "there is no container")
	for _, c := range spec.Containers {
		f.container(c, spec.Volumes)
	}
	f.sidecar(pod)
	return errors.Join(f...)
}

// identity is about whom the processes run as. The kubelet gives the projected token the
// mode 0600 and the user root, unless there is an fsGroup.
func (f *faults) identity(c *corev1.PodSecurityContext) {
	if c == nil {
		c = &corev1.PodSecurityContext{}
	}
	f.require(is(c.RunAsNonRoot, true), "runAsNonRoot is not true")
	for name, id := range map[string]*int64{"runAsUser": c.RunAsUser, "runAsGroup": c.RunAsGroup, "fsGroup": c.FSGroup} {
		f.require(id != nil && *id > 0, "%s is missing, or root", name)
	}
	f.require(c.SeccompProfile != nil && c.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault, "seccompProfile is not RuntimeDefault")
}

// container checks a container, also one that ends before the others start.
func (f *faults) container(c corev1.Container, volumes []corev1.Volume) {
	require := func(ok bool, text string) { f.require(ok, "container %s: %s", c.Name, text) }
	s := c.SecurityContext
	if s == nil {
		s = &corev1.SecurityContext{}
	}
	require(c.Image != "", "image is missing")
	require(is(s.AllowPrivilegeEscalation, false), "allowPrivilegeEscalation is not false")
	require(is(s.ReadOnlyRootFilesystem, true), "readOnlyRootFilesystem is not true")
	require(s.Capabilities != nil && slices.Contains(s.Capabilities.Drop, "ALL") && len(s.Capabilities.Add) == 0, "capabilities are not dropped")
	require(s.Privileged == nil && s.RunAsNonRoot == nil && s.RunAsUser == nil && s.RunAsGroup == nil && s.SeccompProfile == nil,
		"it has other rights than the pod")
	for name, amount := range map[string]bool{
		"requests.cpu":    !c.Resources.Requests.Cpu().IsZero(),
		"requests.memory": !c.Resources.Requests.Memory().IsZero(),
		"limits.memory":   !c.Resources.Limits.Memory().IsZero(),
	} {
		require(amount, name+" is missing")
	}
	for _, e := range c.Env {
		require(!slices.Contains([]string{"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}, e.Name),
			e.Name+" is set, which keeps the webhook away or goes before what it injects")
	}
	for _, m := range c.VolumeMounts {
		require(slices.ContainsFunc(volumes, func(v corev1.Volume) bool { return v.Name == m.Name }), "there is no volume "+m.Name)
	}
	f.probes(c)
}

// probes checks that who serves something is asked how it is, at a port that it has.
func (f *faults) probes(c corev1.Container) {
	if len(c.Ports) > 0 {
		f.require(c.ReadinessProbe != nil && c.LivenessProbe != nil, "container %s: a probe is missing", c.Name)
	}
	for name, probe := range map[string]*corev1.Probe{"startupProbe": c.StartupProbe, "readinessProbe": c.ReadinessProbe, "livenessProbe": c.LivenessProbe} {
		if probe == nil {
			continue
		}
		f.require(probe.HTTPGet != nil && strings.HasPrefix(probe.HTTPGet.Path, "/"), "container %s: %s asks for no path", c.Name, name)
		f.require(probe.HTTPGet != nil && slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool {
			return probe.HTTPGet.Port.String() == p.Name || probe.HTTPGet.Port.IntVal == p.ContainerPort
		}), "container %s: %s asks a port that there is not", c.Name, name)
	}
}
