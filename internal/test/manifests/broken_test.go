package manifests

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mutation breaks a file: it changes the first old text.
type mutation struct{ old, changed, want string }

// requireFound breaks a file of an example in each way, and checks that it is found.
func requireFound(t *testing.T, example, file string, mutations []mutation) {
	t.Helper()
	good := read(t, examples+example+"/kubernetes")
	require.NoError(t, check(good))
	for _, m := range mutations {
		t.Run(m.want, func(t *testing.T) {
			require.Contains(t, good[file], m.old)
			broken := maps.Clone(good)
			broken[file] = strings.Replace(good[file], m.old, m.changed, 1)
			assert.ErrorContains(t, check(broken), m.want)
		})
	}
}

func TestABrokenPodIsFound(t *testing.T) {
	requireFound(t, "sidecar", "deployment.yaml", []mutation{
		{"      serviceAccountName: cart\n", "", "serviceAccountName is missing"},
		{"automountServiceAccountToken: false", "automountServiceAccountToken: true", "automountServiceAccountToken is not false"},
		{"      automountServiceAccountToken: false", "", "automountServiceAccountToken is not false"},
		{"      initContainers:", "      hostNetwork: true\n      initContainers:", "shares a namespace with the node"},
		{"      initContainers:", "      hostPID: true\n      initContainers:", "shares a namespace with the node"},
		{"      initContainers:", "      hostIPC: true\n      initContainers:", "shares a namespace with the node"},
		{"emptyDir:\n            medium: Memory\n            sizeLimit: 1Mi", "hostPath:\n            path: /", "volume authorization is the node's"},
		{"runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot is not true"},
		{"        runAsNonRoot: true\n", "", "runAsNonRoot is not true"},
		{"runAsUser: 65532", "runAsUser: 0", "runAsUser is missing, or root"},
		{"        runAsUser: 65532\n", "", "runAsUser is missing, or root"},
		{"        runAsGroup: 65532\n", "", "runAsGroup is missing, or root"},
		{"fsGroup: 65532", "supplementalGroups: [65532]", "fsGroup is missing, or root"},
		{"type: RuntimeDefault", "type: Unconfined", "seccompProfile is not RuntimeDefault"},
		{"        seccompProfile:\n          type: RuntimeDefault\n", "", "seccompProfile is not RuntimeDefault"},
		{"      containers:\n", "      ephemeralContainers:\n", "there is no container"},
	})
}

func TestABrokenContainerIsFound(t *testing.T) {
	const context = "          securityContext:\n"
	requireFound(t, "sidecar", "deployment.yaml", []mutation{
		{"          image: registry.example/shop/cart:1.0\n", "", "container cart: image is missing"},
		{"allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "container credentials: allowPrivilegeEscalation is not false"},
		{"            allowPrivilegeEscalation: false\n", "", "container credentials: allowPrivilegeEscalation is not false"},
		{"            readOnlyRootFilesystem: true\n", "", "container credentials: readOnlyRootFilesystem is not true"},
		{"drop: [ALL]", "drop: [NET_RAW]", "container credentials: capabilities are not dropped"},
		{"drop: [ALL]", "drop: [ALL]\n              add: [NET_ADMIN]", "container credentials: capabilities are not dropped"},
		{context, context + "            privileged: true\n", "container credentials: it has other rights"},
		{context, context + "            runAsUser: 0\n", "container credentials: it has other rights"},
		{context, context + "            runAsGroup: 0\n", "container credentials: it has other rights"},
		{context, context + "            runAsNonRoot: false\n", "container credentials: it has other rights"},
		{context, context + "            seccompProfile: { type: Unconfined }\n", "container credentials: it has other rights"},
		{"requests: { cpu: 10m, ", "requests: { ", "container credentials: requests.cpu is missing"},
		{"cpu: 50m, memory: 32Mi", "cpu: 50m", "container cart: requests.memory is missing"},
		{"limits: { memory: 128Mi }", "limits: {}", "container cart: limits.memory is missing"},
		{"- name: AWS_REGION", "- name: AWS_ROLE_ARN", "container cart: AWS_ROLE_ARN is set"},
		{"- name: AWS_REGION", "- name: AWS_WEB_IDENTITY_TOKEN_FILE", "container cart: AWS_WEB_IDENTITY_TOKEN_FILE is set"},
		{"- name: AWS_REGION", "- name: AWS_ACCESS_KEY_ID", "container cart: AWS_ACCESS_KEY_ID is set"},
		{"- name: AWS_REGION", "- name: AWS_SECRET_ACCESS_KEY", "container cart: AWS_SECRET_ACCESS_KEY is set"},
		{"        - name: authorization #", "        - name: other #", "container credentials: there is no volume authorization"},
	})
}

func TestABrokenProbeIsFound(t *testing.T) {
	requireFound(t, "sidecar", "deployment.yaml", []mutation{
		{"startupProbe: # the application starts after this probe succeeds\n            httpGet: { path: /healthz, port: health }\n            periodSeconds: 1\n            failureThreshold: 60", "stdin: false", "sidecar credentials: without startupProbe"},
		{"/healthz, port: health }\n            periodSeconds: 1\n", "/healthz, port: http }\n", "startupProbe asks a port that there is not"},
		{"/readyz, port: health", "/readyz, port: 9910", "readinessProbe asks a port that there is not"},
		{"path: /readyz, ", "path: readyz, ", "readinessProbe asks for no path"},
		{"httpGet: { path: /readyz, port: health }", "tcpSocket: { port: health }", "readinessProbe asks for no path"},
		{"image: registry.example/shop/cart:1.0", "image: registry.example/shop/cart:1.0\n          ports: [{ containerPort: 80 }]", "container cart: a probe is missing"},
	})
	requireFound(t, "observability", "deployment.yaml", []mutation{
		{"readinessProbe: # credentials are available\n            httpGet: { path: /readyz, port: metrics }\n            periodSeconds: 5", "stdin: false", "the deployment has no probes"},
		{"livenessProbe:", "startupProbe:", "the deployment has no probes"},
	})
	requireFound(t, "multitenant", "deployment.yaml", []mutation{
		{"livenessProbe:", "startupProbe:", "the deployment has no probes"},
	})
}

func TestRightsThatAreTooWideAreFound(t *testing.T) {
	requireFound(t, "tokenrequest", "deployment.yaml", []mutation{
		{"    resourceNames: [app]\n", "", "is for more than the tokens"},
		{"[serviceaccounts/token]", "[serviceaccounts/token, secrets]", "is for more than the tokens"},
		{"[create]", "['*']", "is for more than the tokens"},
		{"  - kind: ServiceAccount\n    name: tenants", "  - kind: ServiceAccount\n    name: others", "automountServiceAccountToken is not false"},
		{"automountServiceAccountToken: true", "automountServiceAccountToken: false", "automountServiceAccountToken is not true"},
	})
}

func TestABrokenSidecarIsFound(t *testing.T) {
	requireFound(t, "sidecar", "deployment.yaml", []mutation{
		{"http://127.0.0.1:9910", "http://sidecar:9910", "the SDKs take credentials from 127.0.0.1 only"},
		{"skip-containers: cart", "skip-containers: credentials", "container cart: it is not in eks.amazonaws.com/skip-containers"},
		{"- name: AWS_REGION", "- name: REGION", "container cart: AWS_REGION is missing"},
		{"value: /var/run/irsakit/", "value: /var/run/other/", "the authorization token's volume is not mounted"},
		{"              readOnly: true\n", "", "the authorization token's volume is not mounted, or can be written"},
		{"          restartPolicy: Always", "", "no sidecar that starts before it"},
		{"mountPath: /var/run/irsakit\n", "mountPath: /tmp\n", "no sidecar that starts before it"},
		{"medium: Memory", `medium: ""`, "the authorization token is not in memory"},
	})
}

func TestANetworkPolicyThatIsTooWideIsFound(t *testing.T) {
	for _, example := range []string{"sidecar", "observability"} {
		requireFound(t, example, "network-policy.yaml", []mutation{
			{"kind: NetworkPolicy", "kind: NetworkPolicies", "the unknown kind"},
			{"  namespace: shop", "  namespace: store", "no NetworkPolicy of ingress selects the pods"},
			{"      app:", "      apps:", "no NetworkPolicy of ingress selects the pods"},
			{"[Ingress]", "[Egress]", "no NetworkPolicy of ingress selects the pods"},
			{"port: metrics", "port: health", "opens another port"},
			{"port: metrics", "port: 9910", "opens another port"},
			{"port: metrics", "port: 9910\n          endPort: 9912", "opens another port"},
			{"protocol: TCP", "protocol: UDP", "opens another protocol"},
			{"    - ports:\n        - port: metrics\n          protocol: TCP\n      from:", "    - from:", "opens all ports"},
			{"      from:", "    - ports: [{ port: metrics }]\n    - ports: [{ port: metrics }]\n      from:", "lets everybody in"},
			{"metadata.name: monitoring", "metadata.name: shop", "lets another namespace in"},
			{"        - namespaceSelector:\n            matchLabels:\n              kubernetes.io/metadata.name: monitoring\n          podSelector:", "        - podSelector:", "lets another namespace in"},
			{"            matchLabels:\n              kubernetes.io/metadata.name: monitoring", "            {}", "lets another namespace in"},
			{"          podSelector:\n            matchLabels:\n              app.kubernetes.io/name: prometheus\n", "", "lets all pods of a namespace in"},
			{"        - namespaceSelector:", "        - ipBlock: { cidr: 0.0.0.0/0 }\n        - namespaceSelector:", "lets addresses in"},
		})
	}
}

func TestABrokenRoleIsFound(t *testing.T) {
	requireFound(t, "sidecar", "deployment.yaml", []mutation{
		{"  namespace: shop\n  annotations", "  namespace: store\n  annotations", "there is no service account cart in its namespace"},
		{"serviceAccountName: cart", "serviceAccountName: search", "there is no service account search in its namespace"},
		{"iam::111122223333:role", "iam::444455556666:role", "is not of the account of"},
		{"role-arn", "role", `the role "" is not of the account of`},
	})
	const sub = "system:serviceaccount:shop:cart"
	requireFound(t, "sidecar", "trust-policy.json", []mutation{
		{sub, "system:serviceaccount:shop:search", "the role does not trust the service account: statement 1"},
		{"sts.amazonaws.com", "sts.amazonaws.com.cn", "the role does not trust the service account"},
		{"StringEquals", "StringLikes", "StringLikes"},
		{"AssumeRoleWithWebIdentity", "AssumeRole", "the role does not trust the service account"},
		{`EXAMPLE:sub": "` + sub, `OTHER:sub": "` + sub, "the role does not trust the service account"},
		{`"StringEquals": {`, `"StringLike": { "aws:RequestedRegion": "*",`, "the role does not trust the service account"},
		{`"Allow"`, `"Deny"`, "the role does not trust the service account"},
		{`"Federated"`, `"AWS"`, "Principal"},
		{"oidc-provider/", "saml-provider/", "is no OIDC provider"},
		{"[{", "[", "invalid character"},
	})
}

func TestARoleThatTrustsOthersIsFound(t *testing.T) {
	const equals, sub = `"StringEquals"`, "system:serviceaccount:shop:cart"
	like := func(subject, aud string) string {
		policy := read(t, examples+"sidecar/kubernetes")["trust-policy.json"]
		return strings.NewReplacer(equals, `"StringLike"`, sub, subject, `"sts.amazonaws.com"`, `"`+aud+`"`).Replace(policy)
	}
	const other = `{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}`
	for want, policy := range map[string]string{
		"the role trusts another service account":     like(sub+"*", audience),
		"the role trusts the default service account": like("system:serviceaccount:shop:*", audience),
		"the role trusts another namespace":           like("system:serviceaccount:*:cart", audience),
		"the role trusts another audience":            like(sub, "*"),
		"more than one statement":                     `{"Version": "2012-10-17", "Statement": [` + other + `,` + other + `]}`,
		"is no OIDC provider":                         `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": "accounts.google.com"}, "Action": "sts:AssumeRoleWithWebIdentity"}]}`,
	} {
		files := read(t, examples+"sidecar/kubernetes")
		files["trust-policy.json"] = policy
		assert.ErrorContains(t, check(files), want)
	}
}

func TestBrokenYAMLIsFound(t *testing.T) {
	requireFound(t, "sidecar", "deployment.yaml", []mutation{
		{"replicas: 2", "replica: 2", `unknown field "spec.replica"`},
		{"replicas: 2", "Replicas: 2", `unknown field "spec.Replicas"`},
		{"replicas: 2", "replicas: two", "cannot unmarshal string into Go struct field"},
		{"replicas: 2", "replicas: 2\n  replicas: 3", `"replicas" already set`},
		{"kind: Deployment", "kind: StatefulSet", `the unknown kind "apps/v1 StatefulSet"`},
		{"apps/v1", "apps/v1beta1", `the unknown kind "apps/v1beta1 Deployment"`},
		{"      app: cart", "      app: search", "does not match the labels of the pods"},
		{"  annotations:\n    eks", "  annotation:\n    eks", `unknown field "metadata.annotation"`},
	})
	requireFound(t, "s3", "job.yaml", []mutation{
		{"backoffLimit: 3", "backoffLimits: 3", `unknown field "spec.backoffLimits"`},
		{"  1.txt: thank you", "  1.txt: 1", "job.yaml: json: cannot unmarshal number"},
		{"        - name: receipts\n          configMap", "        - name: other\n          configMap", "there is no volume receipts"},
	})
	assert.ErrorContains(t, check(nil), "there is no pod")
}

func TestPermissionsThatAreTooWideAreFound(t *testing.T) {
	requireFound(t, "s3", "permissions-policy.json", []mutation{
		{`"s3:GetObject", "s3:PutObject"`, `"s3:*"`, "it allows all of some actions"},
		{`["s3:GetObject", "s3:PutObject"]`, `[]`, "it allows all of some actions"},
		{`"arn:aws:s3:::shop-receipts/*"`, `["*"]`, `it allows all of "*"`},
		{`"arn:aws:s3:::shop-receipts/*"`, `"arn:aws:s3:::*"`, `it allows all of "arn:aws:s3:::*"`},
		{`"arn:aws:s3:::shop-receipts/*"`, `[]`, "it names no resource"},
		{`"Allow"`, `"Allows"`, `its effect is "Allows"`},
		{"2012-10-17", "2008-10-17", "it has no version"},
		{`"Action"`, `"NotAction"`, `unknown field "NotAction"`},
	})
}
