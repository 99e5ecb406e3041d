package manifests

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A mutation breaks a file: it replaces the first occurrence of old by each text of changed. Checks that
// compare exact values need only one mutation each.
type mutation struct {
	want, old string
	changed   []string
}

// to returns the texts of a mutation.
func to(changed ...string) []string { return changed }

// mutations contains the mutations of files of the examples.
var mutations = []struct {
	example, file string
	mutations     []mutation
}{
	{"sidecar", "deployment.yaml", []mutation{
		{"serviceAccountName is missing", "      serviceAccountName: cart\n", to("")},
		{"automountServiceAccountToken is not false", "automountServiceAccountToken: false", to("automountServiceAccountToken: true", "")},
		{"shares a namespace with the node", "      initContainers:", to("      hostNetwork: true\n      initContainers:",
			"      hostPID: true\n      initContainers:", "      hostIPC: true\n      initContainers:")},
		{"volume authorization is a directory of the node", "emptyDir:\n            medium: Memory\n            sizeLimit: 1Mi", to("hostPath:\n            path: /")},
		{"the security context of the pod is", "fsGroup: 65532", to("supplementalGroups: [65532]", "")},
		{"no container", "      containers:\n", to("      ephemeralContainers:\n")},
		{"container cart: image is missing", "image: registry.example/shop/cart:1.0", to("")},
		{"container credentials: the security context is", "drop: [ALL]", to("drop: [NET_RAW]", "drop: [ALL]\n              add: [NET_ADMIN]")},
		{"container credentials: requests.cpu is missing", "requests: { cpu: 10m, ", to("requests: { ")},
		{"container cart: requests.memory is missing", "cpu: 50m, memory: 32Mi", to("cpu: 50m")},
		{"container cart: limits.memory is missing", "limits: { memory: 128Mi }", to("limits: {}")},
		{"is set and takes precedence", "- name: AWS_REGION",
			to("- name: AWS_ROLE_ARN", "- name: AWS_WEB_IDENTITY_TOKEN_FILE", "- name: AWS_ACCESS_KEY_ID", "- name: AWS_SECRET_ACCESS_KEY")},
		{"container credentials: no volume authorization", "        - name: authorization #", to("        - name: other #")},
		{"sidecar credentials: without startupProbe", "startupProbe: # the application starts after this probe succeeds\n" +
			"            httpGet: { path: /healthz, port: health }\n            periodSeconds: 1\n            failureThreshold: 60", to("stdin: false")},
		{"startupProbe uses an unknown port", "/healthz, port: health }\n            periodSeconds: 1\n", to("/healthz, port: http }\n")},
		{"readinessProbe uses an unknown port", "/readyz, port: health", to("/readyz, port: 9910")},
		{"readinessProbe has no path", "httpGet: { path: /readyz, ", to("httpGet: { path: readyz, ", "tcpSocket: { ")},
		{"container cart: a probe is missing", "image: registry.example/shop/cart:1.0", to("image: cart\n          ports: [{ containerPort: 80 }]")},
		{"the environment is", "http://127.0.0.1:9910", to("http://sidecar:9910")},
		{"skip-containers is", "skip-containers: cart", to("skip-containers: credentials")},
		{"the mount of the authorization token is", "              readOnly: true\n", to("")},
		{"the init container is no sidecar", "          restartPolicy: Always", to("")},
		{"the sidecar's mount of the authorization token is", "mountPath: /var/run/irsakit\n", to("mountPath: /tmp\n")},
		{"the volume of the authorization token is", "medium: Memory", to(`medium: ""`)},
		{"no service account cart in its namespace", "  namespace: shop\n  annotations", to("  namespace: store\n  annotations")},
		{"is not in the account of", "iam::111122223333:role", to("iam::444455556666:role")},
		{`role "" is not in the account of`, "role-arn", to("role")},
		{`unknown field "spec.replica"`, "replicas: 2", to("replica: 2")},
		{`"replicas" already set`, "replicas: 2", to("replicas: 2\n  replicas: 3")},
		{"unexpected kind *v1.StatefulSet", "kind: Deployment", to("kind: StatefulSet")},
		{`no kind "Deployment" is registered for version "apps/v1beta1"`, "apps/v1", to("apps/v1beta1")},
		{"the selector is", "      app: cart", to("      app: search")},
	}},
	{"observability", "deployment.yaml", []mutation{
		{"the deployment has no probes", "livenessProbe:", to("startupProbe:")},
		{"the deployment has no probes", "readinessProbe:", to("startupProbe:")},
		{"no sidecar", "          ports:", to("          env: [{ name: AWS_CONTAINER_CREDENTIALS_FULL_URI }]\n          ports:")},
	}},
	{"controller", "deployment.yaml", []mutation{
		{"what role irsa-tokens allows is", "[serviceaccounts/token]", to("[serviceaccounts/token, secrets]")},
		{"automountServiceAccountToken is not false", "  - kind: ServiceAccount\n    name: controller", to("  - kind: ServiceAccount\n    name: others")},
		{"automountServiceAccountToken is not true", "automountServiceAccountToken: true", to("automountServiceAccountToken: false")},
	}},
	{"sidecar", "trust-policy.json", []mutation{
		{"the role does not trust the service account: statement 1", ":shop:cart", to(":shop:search")},
		{"StringLikes", "StringEquals", to("StringLikes")},
		{"the trust policy is", "[{", to(`[{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}, {`)},
	}},
	{"sidecar", "network-policy.yaml", []mutation{
		{"the specs of the NetworkPolicies", "  namespace: shop", to("  namespace: store")},
		{"the specs of the NetworkPolicies", "port: 9912", to("port: metrics")},
	}},
	{"observability", "network-policy.yaml", []mutation{
		{"the specs of the NetworkPolicies", "port: metrics", to("port: 9912", "port: metrics\n          endPort: 9912")},
	}},
	{"s3", "job.yaml", []mutation{
		{`unknown field "spec.backoffLimits"`, "backoffLimit: 3", to("backoffLimits: 3")},
		{"job.yaml: json: cannot unmarshal number", "  1.txt: thank you", to("  1.txt: 1")},
		{"no volume receipts", "        - name: receipts\n          configMap", to("        - name: other\n          configMap")},
	}},
	{"s3", "permissions-policy.json", []mutation{
		{"wildcard in actions", `["s3:GetObject", "s3:PutObject"]`, to(`["s3:*"]`, `"s3:*"`, `[]`)},
		{`wildcard resource "*"`, `"arn:aws:s3:::shop-receipts/*"`, to(`["*"]`)},
		{`wildcard resource "arn:aws:s3:::*"`, `"arn:aws:s3:::shop-receipts/*"`, to(`"arn:aws:s3:::*"`)},
		{"no resource", `"arn:aws:s3:::shop-receipts/*"`, to(`[]`)},
		{`effect "Allows"`, `"Allow"`, to(`"Allows"`)},
		{"no version", "2012-10-17", to("2008-10-17")},
		{`unknown field "NotAction"`, `"Action"`, to(`"NotAction"`)},
	}},
}

func TestCheckReportsMutations(t *testing.T) {
	for _, tt := range mutations {
		good := read(t, examples+tt.example+"/kubernetes")
		require.NoError(t, check(good))
		for _, m := range tt.mutations {
			require.Contains(t, good[tt.file], m.old)
			for _, changed := range m.changed {
				broken := maps.Clone(good)
				broken[tt.file] = strings.Replace(good[tt.file], m.old, changed, 1)
				assert.ErrorContains(t, check(broken), m.want, "%s: %q", tt.example, changed)
			}
		}
	}
	assert.ErrorContains(t, check(nil), "no pod")
}
