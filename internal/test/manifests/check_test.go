package manifests

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

type faults []error

func (f *faults) require(ok bool, format string, args ...any) {
	if !ok {
		*f = append(*f, fmt.Errorf(format, args...))
	}
}

// equal requires the exact value of a field, in JSON.
func (f *faults) equal(name string, field any, want string) {
	got, err := json.Marshal(field)
	f.require(err == nil && string(got) == want, "%s is %s instead of %s", name, got, want)
}

// is reports whether an optional field has the value.
func is[T comparable](field *T, value T) bool { return field != nil && *field == value }

const (
	// Without an fsGroup, only root can read the projected token.
	podSecurity       = `{"runAsUser":65532,"runAsGroup":65532,"runAsNonRoot":true,"fsGroup":65532,"seccompProfile":{"type":"RuntimeDefault"}}`
	containerSecurity = `{"capabilities":{"drop":["ALL"]},"readOnlyRootFilesystem":true,"allowPrivilegeEscalation":false}`
	// Only Prometheus may connect to the metrics. The kubelet needs no rule.
	networkPolicies = `[{"podSelector":%s,"ingress":[{"ports":[{"protocol":"TCP","port":%s}],"from":[{` +
		`"podSelector":{"matchLabels":{"app.kubernetes.io/name":"prometheus"}},` +
		`"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"monitoring"}}}]}],"policyTypes":["Ingress"]}]`
	// A role with rights at the API server may only request the tokens of a named service account.
	rules = `[{"verbs":["get"],"apiGroups":[""],"resources":["serviceaccounts"],"resourceNames":["app"]},` +
		`{"verbs":["create"],"apiGroups":[""],"resources":["serviceaccounts/token"],"resourceNames":["app"]}]`
)

// check checks that a workload gets its credentials and has no unnecessary rights.
func (w workload) check(m manifests) error {
	var f faults
	spec := w.pod.Spec
	account := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: w.meta.Namespace, Name: spec.ServiceAccountName}
	f.pod(w.pod, slices.Contains(m.bound, account)) // accounts without a role binding have no rights
	labels, err := json.Marshal(map[string]any{"matchLabels": w.pod.Labels})
	f.require(err == nil, "labels: %v", err)
	if w.deployment != nil {
		f.equal("the selector", w.deployment.Spec.Selector, string(labels))
		f.require(slices.ContainsFunc(slices.Concat(spec.InitContainers, spec.Containers), func(c corev1.Container) bool {
			return c.ReadinessProbe != nil && c.LivenessProbe != nil
		}), "the deployment has no probes")
	}
	if port := metricsPort(spec); port != "" || slices.ContainsFunc(spec.Containers, usesSidecar) {
		f.equal("the specs of the NetworkPolicies", m.policies[account.Namespace], fmt.Sprintf(networkPolicies, labels, port))
	}
	role, found := m.roles[account.Namespace+"/"+account.Name]
	f.require(found, "no service account %s in its namespace", account.Name)
	f.require(strings.HasPrefix(role, "arn:aws:iam::111122223333:role/"), "role %q is not in the account of the OIDC provider", role)
	f.trust(m.trustPolicy, account)
	return errors.Join(f...)
}

// pod checks a pod. usesAPI reports whether its service account has rights at the API server.
func (f *faults) pod(pod corev1.PodTemplateSpec, usesAPI bool) {
	spec := pod.Spec
	f.require(spec.ServiceAccountName != "", "serviceAccountName is missing")
	f.require(is(spec.AutomountServiceAccountToken, usesAPI), "automountServiceAccountToken is not %v", usesAPI)
	f.require(!spec.HostNetwork && !spec.HostPID && !spec.HostIPC, "shares a namespace with the node")
	for _, v := range spec.Volumes {
		f.require(v.HostPath == nil, "volume %s is a directory of the node", v.Name)
	}
	f.equal("the security context of the pod", spec.SecurityContext, podSecurity)
	for _, c := range spec.InitContainers {
		f.require(!is(c.RestartPolicy, corev1.ContainerRestartPolicyAlways) || c.StartupProbe != nil,
			"sidecar %s: without startupProbe the next container does not wait for it", c.Name)
	}
	f.require(len(spec.Containers) > 0, "no container")
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		f.container(c, spec.Volumes)
	}
	f.sidecar(pod)
}

func (f *faults) container(c corev1.Container, volumes []corev1.Volume) {
	require := func(ok bool, text string) { f.require(ok, "container %s: %s", c.Name, text) }
	f.equal("container "+c.Name+": the security context", c.SecurityContext, containerSecurity)
	require(c.Image != "", "image is missing")
	require(!c.Resources.Requests.Cpu().IsZero(), "requests.cpu is missing")
	require(!c.Resources.Requests.Memory().IsZero(), "requests.memory is missing")
	require(!c.Resources.Limits.Memory().IsZero(), "limits.memory is missing")
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

// usesSidecar reports whether a container gets its credentials from a sidecar of the pod.
func usesSidecar(c corev1.Container) bool {
	return slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "AWS_CONTAINER_CREDENTIALS_FULL_URI" })
}

// The exact values of fields of a pod with a sidecar. The SDKs accept only credentials from 127.0.0.1, and
// the webhook does not set the region of a container that it skips.
const (
	environment = `[{"name":"AWS_CONTAINER_CREDENTIALS_FULL_URI","value":"http://127.0.0.1:9910/credentials"},` +
		`{"name":"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE","value":"/var/run/irsakit/token"},{"name":"AWS_REGION","value":"us-west-2"}]`
	tokenVolumes = `[{"name":"authorization","emptyDir":{"medium":"Memory","sizeLimit":"1Mi"}}]`
	tokenReader  = `[{"name":"authorization","readOnly":true,"mountPath":"/var/run/irsakit"}]`
	tokenWriter  = `[{"name":"authorization","mountPath":"/var/run/irsakit"}]`
)

// sidecar checks containers that get their credentials from a sidecar, which writes the authorization token.
func (f *faults) sidecar(pod corev1.PodTemplateSpec) {
	for _, c := range pod.Spec.Containers {
		if !usesSidecar(c) {
			continue
		}
		f.equal("the environment", c.Env, environment)
		f.equal("skip-containers", pod.Annotations["eks.amazonaws.com/skip-containers"], strconv.Quote(c.Name))
		f.equal("the mount of the authorization token", c.VolumeMounts, tokenReader)
		f.equal("the volume of the authorization token", pod.Spec.Volumes, tokenVolumes)
		f.require(len(pod.Spec.InitContainers) == 1, "no sidecar, or other init containers")
		for _, s := range pod.Spec.InitContainers {
			f.require(is(s.RestartPolicy, corev1.ContainerRestartPolicyAlways), "the init container is no sidecar")
			f.equal("the sidecar's mount of the authorization token", s.VolumeMounts, tokenWriter)
		}
	}
}

// metricsPort returns the port of the metrics in a NetworkPolicy, or "" if there is none. It is
// a number in a sidecar: network plugins look up names among the pod's other containers only.
func metricsPort(spec corev1.PodSpec) string {
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		for _, p := range c.Ports {
			switch {
			case p.Name != "metrics":
			case is(c.RestartPolicy, corev1.ContainerRestartPolicyAlways):
				return strconv.Itoa(int(p.ContainerPort))
			default:
				return strconv.Quote(p.Name)
			}
		}
	}
	return ""
}

const (
	roleARN  = "eks.amazonaws.com/role-arn"
	issuer   = "oidc.eks.us-west-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"
	provider = "arn:aws:iam::111122223333:oidc-provider/" + issuer
	trusting = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"` + provider + `"},` +
		`"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{` +
		`"` + issuer + `:sub":"%s","` + issuer + `:aud":"sts.amazonaws.com"}}}]}`
)

// trust checks that the policy trusts the service account and no other.
func (f *faults) trust(document []byte, account rbacv1.Subject) {
	subject := "system:serviceaccount:" + account.Namespace + ":" + account.Name
	f.equal("the trust policy", json.RawMessage(document), fmt.Sprintf(trusting, subject))
	policy, err := trustpolicy.Parse(document)
	f.require(err == nil, "trust-policy.json: %v", err)
	if err == nil {
		decision := policy.Evaluate(trustpolicy.Request{
			Action:    "sts:AssumeRoleWithWebIdentity",
			Principal: trustpolicy.Principal{Federated: provider},
			Context:   map[string][]string{issuer + ":sub": {subject}, issuer + ":aud": {"sts.amazonaws.com"}},
		})
		f.require(decision.Allowed(), "the role does not trust the service account: %s", decision)
	}
}

// checkPermissions checks that a permissions policy allows only named actions on named resources.
func checkPermissions(document string) error {
	var policy struct {
		Version   string
		Statement []struct {
			Effect           string
			Action, Resource []string // always lists in the examples
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
		f.require(len(s.Action) > 0 && !strings.Contains(strings.Join(s.Action, ""), "*"), "wildcard in actions %q", s.Action)
		f.require(len(s.Resource) > 0, "no resource")
		for _, r := range s.Resource {
			f.require(strings.HasPrefix(r, "arn:aws:") && !strings.HasSuffix(r, ":*"), "wildcard resource %q", r)
		}
	}
	return errors.Join(f...)
}
