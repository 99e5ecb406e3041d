package manifests

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

// faults contains the faults of a manifest.
type faults []error

func (f *faults) require(ok bool, format string, args ...any) {
	if !ok {
		*f = append(*f, fmt.Errorf(format, args...))
	}
}

// is reports whether an optional field has the value.
func is[T comparable](field *T, value T) bool { return field != nil && *field == value }

// checkPod checks that a pod gets its credentials and has no unnecessary rights. usesAPI reports
// whether its service account has rights at the API server.
func checkPod(pod corev1.PodTemplateSpec, usesAPI bool) error {
	var f faults
	spec := pod.Spec
	f.require(spec.ServiceAccountName != "", "serviceAccountName is missing")
	f.require(is(spec.AutomountServiceAccountToken, usesAPI), "automountServiceAccountToken is not %v", usesAPI)
	f.require(!spec.HostNetwork && !spec.HostPID && !spec.HostIPC, "shares a namespace with the node")
	for _, v := range spec.Volumes {
		f.require(v.HostPath == nil, "volume %s is a folder of the node", v.Name)
	}
	f.identity(spec.SecurityContext)
	for _, c := range spec.InitContainers {
		f.container(c, spec.Volumes)
		f.require(!is(c.RestartPolicy, corev1.ContainerRestartPolicyAlways) || c.StartupProbe != nil,
			"sidecar %s: without startupProbe the next container does not wait for it", c.Name)
	}
	f.require(len(spec.Containers) > 0, "no container")
	for _, c := range spec.Containers {
		f.container(c, spec.Volumes)
	}
	f.sidecar(pod)
	return errors.Join(f...)
}

// identity checks the user and the groups of the processes. Without an fsGroup, only root can read
// the projected token.
func (f *faults) identity(c *corev1.PodSecurityContext) {
	if c == nil {
		c = &corev1.PodSecurityContext{}
	}
	f.require(is(c.RunAsNonRoot, true), "runAsNonRoot is not true")
	for name, id := range map[string]*int64{"runAsUser": c.RunAsUser, "runAsGroup": c.RunAsGroup, "fsGroup": c.FSGroup} {
		f.require(id != nil && *id > 0, "%s is missing or root", name)
	}
	f.require(c.SeccompProfile != nil && c.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault, "seccompProfile is not RuntimeDefault")
}

// container checks a container or an init container.
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
		"overrides the security context of the pod")
	for name, amount := range map[string]bool{
		"requests.cpu":    !c.Resources.Requests.Cpu().IsZero(),
		"requests.memory": !c.Resources.Requests.Memory().IsZero(),
		"limits.memory":   !c.Resources.Limits.Memory().IsZero(),
	} {
		require(amount, name+" is missing")
	}
	for _, e := range c.Env {
		require(!slices.Contains([]string{"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}, e.Name),
			e.Name+" is set and takes precedence over the variables of the webhook")
	}
	for _, m := range c.VolumeMounts {
		require(slices.ContainsFunc(volumes, func(v corev1.Volume) bool { return v.Name == m.Name }), "no volume "+m.Name)
	}
	f.probes(c)
}

// probes checks that a container with ports has probes, and that probes use its ports.
func (f *faults) probes(c corev1.Container) {
	if len(c.Ports) > 0 {
		f.require(c.ReadinessProbe != nil && c.LivenessProbe != nil, "container %s: a probe is missing", c.Name)
	}
	for name, probe := range map[string]*corev1.Probe{"startupProbe": c.StartupProbe, "readinessProbe": c.ReadinessProbe, "livenessProbe": c.LivenessProbe} {
		if probe == nil {
			continue
		}
		f.require(probe.HTTPGet != nil && strings.HasPrefix(probe.HTTPGet.Path, "/"), "container %s: %s has no path", c.Name, name)
		f.require(probe.HTTPGet != nil && slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool {
			return probe.HTTPGet.Port.String() == p.Name || probe.HTTPGet.Port.IntVal == p.ContainerPort
		}), "container %s: %s uses an unknown port", c.Name, name)
	}
}

const skipContainers = "eks.amazonaws.com/skip-containers"

// sidecar checks containers that get their credentials from a sidecar of the pod.
func (f *faults) sidecar(pod corev1.PodTemplateSpec) {
	for _, c := range pod.Spec.Containers {
		uri := value(c, "AWS_CONTAINER_CREDENTIALS_FULL_URI")
		if uri == "" {
			continue
		}
		require := func(ok bool, text string) { f.require(ok, "container %s: %s", c.Name, text) }
		require(strings.HasPrefix(uri, "http://127.0.0.1:"), "the SDKs accept only credentials from 127.0.0.1")
		skipped := strings.Split(pod.Annotations[skipContainers], ",")
		require(slices.Contains(skipped, c.Name), "not in "+skipContainers+", and the SDKs prefer the variables of the webhook")
		require(value(c, "AWS_REGION") != "", "AWS_REGION is missing")

		folder := path.Dir(value(c, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"))
		volume := mounted(c, folder)
		require(volume != nil && volume.ReadOnly, "the volume of the authorization token is not mounted read-only")
		if volume == nil {
			continue
		}
		written := slices.ContainsFunc(pod.Spec.InitContainers, func(s corev1.Container) bool {
			m := mounted(s, folder)
			return is(s.RestartPolicy, corev1.ContainerRestartPolicyAlways) && m != nil && m.Name == volume.Name && !m.ReadOnly
		})
		require(written, "no sidecar writes the authorization token")
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

// mounted returns the mount at the folder, or nil.
func mounted(c corev1.Container, folder string) *corev1.VolumeMount {
	for _, m := range c.VolumeMounts {
		if m.MountPath == folder {
			return &m
		}
	}
	return nil
}

const (
	roleARN  = "eks.amazonaws.com/role-arn"
	audience = "sts.amazonaws.com"
)

// checkRoles checks that each pod can assume its role, and that others cannot.
func checkRoles(m manifests) error {
	var f faults
	f.require(len(m.workloads) > 0, "no pod")
	for _, w := range m.workloads {
		i := slices.IndexFunc(m.accounts, func(sa corev1.ServiceAccount) bool {
			return sa.Name == w.pod.Spec.ServiceAccountName && sa.Namespace == w.meta.Namespace
		})
		if i < 0 {
			f.require(false, "%s: no service account %s in its namespace", w.name, w.pod.Spec.ServiceAccountName)
			continue
		}
		if err := checkTrust(m.trustPolicy, m.accounts[i]); err != nil {
			f = append(f, fmt.Errorf("%s: %w", w.name, err))
		}
	}
	return errors.Join(f...)
}

// checkTrust checks that the policy trusts the service account and no other.
func checkTrust(document []byte, sa corev1.ServiceAccount) error {
	policy, err := trustpolicy.Parse(document)
	if err != nil {
		return err
	}
	arn, account, issuer, err := providerOf(document)
	if err != nil {
		return err
	}
	evaluate := func(namespace, name, aud string) trustpolicy.Decision {
		return policy.Evaluate(trustpolicy.Request{
			Action:    "sts:AssumeRoleWithWebIdentity",
			Principal: trustpolicy.Principal{Federated: arn},
			Context: map[string][]string{
				issuer + ":sub": {"system:serviceaccount:" + namespace + ":" + name},
				issuer + ":aud": {aud},
			},
		})
	}
	var f faults
	role := sa.Annotations[roleARN]
	f.require(strings.HasPrefix(role, "arn:aws:iam::"+account+":role/"), "role %q is not in the account of %q", role, arn)
	decision := evaluate(sa.Namespace, sa.Name, audience)
	f.require(decision.Allowed(), "the role does not trust the service account: %s", decision)
	f.require(!evaluate(sa.Namespace, sa.Name+"-other", audience).Allowed(), "the role trusts another service account")
	f.require(!evaluate(sa.Namespace, "default", audience).Allowed(), "the role trusts the default service account")
	f.require(!evaluate(sa.Namespace+"-other", sa.Name, audience).Allowed(), "the role trusts another namespace")
	f.require(!evaluate(sa.Namespace, sa.Name, "https://kubernetes.default.svc").Allowed(), "the role trusts another audience")
	return errors.Join(f...)
}

// provider matches the ARN of an OIDC provider: its account and its issuer.
var provider = regexp.MustCompile(`^arn:aws:iam::(\d{12}):oidc-provider/(.+)$`)

// providerOf returns the OIDC provider that a policy of one statement trusts.
func providerOf(document []byte) (arn, account, issuer string, err error) {
	var policy struct {
		Statement []struct{ Principal struct{ Federated string } }
	}
	if err := json.Unmarshal(document, &policy); err != nil {
		return "", "", "", err
	}
	if len(policy.Statement) != 1 {
		return "", "", "", fmt.Errorf("the policy has %d statements, not one", len(policy.Statement))
	}
	arn = policy.Statement[0].Principal.Federated
	match := provider.FindStringSubmatch(arn)
	if match == nil {
		return "", "", "", fmt.Errorf("%q is not an OIDC provider", arn)
	}
	return arn, match[1], match[2], nil
}

// checkPermissions checks that a permissions policy allows only named actions on named resources.
func checkPermissions(document string) error {
	var policy struct {
		Version   string
		Statement []struct {
			Effect   string
			Action   any
			Resource any
		}
	}
	decoder := json.NewDecoder(strings.NewReader(document))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&policy); err != nil {
		return err
	}
	var f faults
	f.require(policy.Version == "2012-10-17" && len(policy.Statement) > 0, "no version, or no statement")
	for _, s := range policy.Statement {
		f.require(s.Effect == "Allow", "effect %q", s.Effect)
		actions, resources := texts(s.Action), texts(s.Resource)
		f.require(len(actions) > 0 && !strings.Contains(strings.Join(actions, ""), "*"), "wildcard in actions %q", actions)
		f.require(len(resources) > 0, "no resource")
		for _, r := range resources {
			f.require(strings.HasPrefix(r, "arn:aws:") && !strings.HasSuffix(r, ":*"), "wildcard resource %q", r)
		}
	}
	return errors.Join(f...)
}

// texts returns a JSON string or list of strings as a list.
func texts(value any) []string {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, each := range v {
			all = append(all, texts(each)...)
		}
		return all
	}
	return nil
}
