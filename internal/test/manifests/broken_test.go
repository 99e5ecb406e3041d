package manifests

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A mutation breaks a file: it replaces the first occurrence of old.
type mutation struct{ old, changed, want string }

const (
	securityContext = "          securityContext:\n"
	subject         = "system:serviceaccount:shop:cart"
)

// mutations contains the mutations of files of the examples.
var mutations = []struct {
	example, file string
	mutations     []mutation
}{
	{"sidecar", "deployment.yaml", []mutation{
		{"      serviceAccountName: cart\n", "", "serviceAccountName is missing"},
		{"automountServiceAccountToken: false", "automountServiceAccountToken: true", "automountServiceAccountToken is not false"},
		{"      automountServiceAccountToken: false", "", "automountServiceAccountToken is not false"},
		{"      initContainers:", "      hostNetwork: true\n      initContainers:", "shares a namespace with the node"},
		{"      initContainers:", "      hostPID: true\n      initContainers:", "shares a namespace with the node"},
		{"      initContainers:", "      hostIPC: true\n      initContainers:", "shares a namespace with the node"},
		{"emptyDir:\n            medium: Memory\n            sizeLimit: 1Mi", "hostPath:\n            path: /", "volume authorization is a folder of the node"},
		{"runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot is not true"},
		{"        runAsNonRoot: true\n", "", "runAsNonRoot is not true"},
		{"runAsUser: 65532", "runAsUser: 0", "runAsUser is missing or root"},
		{"        runAsUser: 65532\n", "", "runAsUser is missing or root"},
		{"        runAsGroup: 65532\n", "", "runAsGroup is missing or root"},
		{"fsGroup: 65532", "supplementalGroups: [65532]", "fsGroup is missing or root"},
		{"type: RuntimeDefault", "type: Unconfined", "seccompProfile is not RuntimeDefault"},
		{"        seccompProfile:\n          type: RuntimeDefault\n", "", "seccompProfile is not RuntimeDefault"},
		{"      containers:\n", "      ephemeralContainers:\n", "no container"},
		{"          image: registry.example/shop/cart:1.0\n", "", "container cart: image is missing"},
		{"allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "container credentials: allowPrivilegeEscalation is not false"},
		{"            allowPrivilegeEscalation: false\n", "", "container credentials: allowPrivilegeEscalation is not false"},
		{"            readOnlyRootFilesystem: true\n", "", "container credentials: readOnlyRootFilesystem is not true"},
		{"drop: [ALL]", "drop: [NET_RAW]", "container credentials: capabilities are not dropped"},
		{"drop: [ALL]", "drop: [ALL]\n              add: [NET_ADMIN]", "container credentials: capabilities are not dropped"},
		{securityContext, securityContext + "            privileged: true\n", "container credentials: overrides the security context"},
		{securityContext, securityContext + "            runAsUser: 0\n", "container credentials: overrides the security context"},
		{securityContext, securityContext + "            runAsGroup: 0\n", "container credentials: overrides the security context"},
		{securityContext, securityContext + "            runAsNonRoot: false\n", "container credentials: overrides the security context"},
		{securityContext, securityContext + "            seccompProfile: { type: Unconfined }\n", "container credentials: overrides the security context"},
		{"requests: { cpu: 10m, ", "requests: { ", "container credentials: requests.cpu is missing"},
		{"cpu: 50m, memory: 32Mi", "cpu: 50m", "container cart: requests.memory is missing"},
		{"limits: { memory: 128Mi }", "limits: {}", "container cart: limits.memory is missing"},
		{"- name: AWS_REGION", "- name: AWS_ROLE_ARN", "container cart: AWS_ROLE_ARN is set"},
		{"- name: AWS_REGION", "- name: AWS_WEB_IDENTITY_TOKEN_FILE", "container cart: AWS_WEB_IDENTITY_TOKEN_FILE is set"},
		{"- name: AWS_REGION", "- name: AWS_ACCESS_KEY_ID", "container cart: AWS_ACCESS_KEY_ID is set"},
		{"- name: AWS_REGION", "- name: AWS_SECRET_ACCESS_KEY", "container cart: AWS_SECRET_ACCESS_KEY is set"},
		{"        - name: authorization #", "        - name: other #", "container credentials: no volume authorization"},
		{"startupProbe: # the application starts after this probe succeeds\n            httpGet: { path: /healthz, port: health }\n            periodSeconds: 1\n            failureThreshold: 60", "stdin: false", "sidecar credentials: without startupProbe"},
		{"/healthz, port: health }\n            periodSeconds: 1\n", "/healthz, port: http }\n", "startupProbe uses an unknown port"},
		{"/readyz, port: health", "/readyz, port: 9910", "readinessProbe uses an unknown port"},
		{"path: /readyz, ", "path: readyz, ", "readinessProbe has no path"},
		{"httpGet: { path: /readyz, port: health }", "tcpSocket: { port: health }", "readinessProbe has no path"},
		{"image: registry.example/shop/cart:1.0", "image: registry.example/shop/cart:1.0\n          ports: [{ containerPort: 80 }]", "container cart: a probe is missing"},
		{"http://127.0.0.1:9910", "http://sidecar:9910", "the SDKs accept only credentials from 127.0.0.1"},
		{"skip-containers: cart", "skip-containers: credentials", "container cart: not in eks.amazonaws.com/skip-containers"},
		{"- name: AWS_REGION", "- name: REGION", "container cart: AWS_REGION is missing"},
		{"value: /var/run/irsakit/", "value: /var/run/other/", "the volume of the authorization token is not mounted"},
		{"              readOnly: true\n", "", "the volume of the authorization token is not mounted read-only"},
		{"          restartPolicy: Always", "", "no sidecar writes the authorization token"},
		{"mountPath: /var/run/irsakit\n", "mountPath: /tmp\n", "no sidecar writes the authorization token"},
		{"medium: Memory", `medium: ""`, "the authorization token is not in memory"},
		{"  namespace: shop\n  annotations", "  namespace: store\n  annotations", "no service account cart in its namespace"},
		{"serviceAccountName: cart", "serviceAccountName: search", "no service account search in its namespace"},
		{"iam::111122223333:role", "iam::444455556666:role", "is not in the account of"},
		{"role-arn", "role", `role "" is not in the account of`},
		{"replicas: 2", "replica: 2", `unknown field "spec.replica"`},
		{"replicas: 2", "Replicas: 2", `unknown field "spec.Replicas"`},
		{"replicas: 2", "replicas: two", "cannot unmarshal string into Go struct field"},
		{"replicas: 2", "replicas: 2\n  replicas: 3", `"replicas" already set`},
		{"kind: Deployment", "kind: StatefulSet", "unexpected kind *v1.StatefulSet"},
		{"apps/v1", "apps/v1beta1", `no kind "Deployment" is registered for version "apps/v1beta1"`},
		{"      app: cart", "      app: search", "does not match the labels of the pods"},
		{"  annotations:\n    eks", "  annotation:\n    eks", `unknown field "metadata.annotation"`},
	}},
	{"observability", "deployment.yaml", []mutation{
		{"readinessProbe: # credentials are available\n            httpGet: { path: /readyz, port: metrics }\n            periodSeconds: 5", "stdin: false", "the deployment has no probes"},
		{"livenessProbe:", "startupProbe:", "the deployment has no probes"},
	}},
	{"controller", "deployment.yaml", []mutation{
		{"livenessProbe:", "startupProbe:", "the deployment has no probes"},
		{"    resourceNames: [app]\n", "", "allows more than tokens"},
		{"[serviceaccounts/token]", "[serviceaccounts/token, secrets]", "allows more than tokens"},
		{"[create]", "['*']", "allows more than tokens"},
		{"[get]", "[get, list]", "allows more than tokens"},
		{"  - kind: ServiceAccount\n    name: controller", "  - kind: ServiceAccount\n    name: others", "automountServiceAccountToken is not false"},
		{"automountServiceAccountToken: true", "automountServiceAccountToken: false", "automountServiceAccountToken is not true"},
	}},
	{"sidecar", "trust-policy.json", []mutation{
		{subject, "system:serviceaccount:shop:search", "the role does not trust the service account: statement 1"},
		{"sts.amazonaws.com", "sts.amazonaws.com.cn", "the role does not trust the service account"},
		{"StringEquals", "StringLikes", "StringLikes"},
		{"AssumeRoleWithWebIdentity", "AssumeRole", "the role does not trust the service account"},
		{`EXAMPLE:sub": "` + subject, `OTHER:sub": "` + subject, "the role does not trust the service account"},
		{`"StringEquals": {`, `"StringLike": { "aws:RequestedRegion": "*",`, "the role does not trust the service account"},
		{`"Allow"`, `"Deny"`, "the role does not trust the service account"},
		{`"Federated"`, `"AWS"`, "Principal"},
		{"oidc-provider/", "saml-provider/", "is not an OIDC provider"},
		{"[{", "[", "invalid character"},
	}},
	{"sidecar", "network-policy.yaml", networkMutations},
	{"observability", "network-policy.yaml", networkMutations},
	{"s3", "job.yaml", []mutation{
		{"backoffLimit: 3", "backoffLimits: 3", `unknown field "spec.backoffLimits"`},
		{"  1.txt: thank you", "  1.txt: 1", "job.yaml: json: cannot unmarshal number"},
		{"        - name: receipts\n          configMap", "        - name: other\n          configMap", "no volume receipts"},
	}},
	{"s3", "permissions-policy.json", []mutation{
		{`"s3:GetObject", "s3:PutObject"`, `"s3:*"`, "wildcard in actions"},
		{`["s3:GetObject", "s3:PutObject"]`, `[]`, "wildcard in actions"},
		{`"arn:aws:s3:::shop-receipts/*"`, `["*"]`, `wildcard resource "*"`},
		{`"arn:aws:s3:::shop-receipts/*"`, `"arn:aws:s3:::*"`, `wildcard resource "arn:aws:s3:::*"`},
		{`"arn:aws:s3:::shop-receipts/*"`, `[]`, "no resource"},
		{`"Allow"`, `"Allows"`, `effect "Allows"`},
		{"2012-10-17", "2008-10-17", "no version"},
		{`"Action"`, `"NotAction"`, `unknown field "NotAction"`},
	}},
}

// networkMutations are the mutations of a NetworkPolicy for metrics.
var networkMutations = []mutation{
	{"kind: NetworkPolicy", "kind: NetworkPolicies", `no kind "NetworkPolicies" is registered`},
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
}

func TestCheckReportsMutations(t *testing.T) {
	for _, tt := range mutations {
		good := read(t, examples+tt.example+"/kubernetes")
		require.NoError(t, check(good))
		for _, m := range tt.mutations {
			t.Run(tt.example+": "+m.want, func(t *testing.T) {
				require.Contains(t, good[tt.file], m.old)
				broken := maps.Clone(good)
				broken[tt.file] = strings.Replace(good[tt.file], m.old, m.changed, 1)
				assert.ErrorContains(t, check(broken), m.want)
			})
		}
	}
	assert.ErrorContains(t, check(nil), "no pod")
}

func TestCheckReportsRoleThatTrustsOthers(t *testing.T) {
	const equals = `"StringEquals"`
	like := func(sub, aud string) string {
		policy := read(t, examples+"sidecar/kubernetes")["trust-policy.json"]
		return strings.NewReplacer(equals, `"StringLike"`, subject, sub, `"sts.amazonaws.com"`, `"`+aud+`"`).Replace(policy)
	}
	const other = `{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}`
	for want, policy := range map[string]string{
		"the role trusts another service account":     like(subject+"*", audience),
		"the role trusts the default service account": like("system:serviceaccount:shop:*", audience),
		"the role trusts another namespace":           like("system:serviceaccount:*:cart", audience),
		"the role trusts another audience":            like(subject, "*"),
		"has 2 statements":                            `{"Version": "2012-10-17", "Statement": [` + other + `,` + other + `]}`,
		"is not an OIDC provider":                     `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": "accounts.google.com"}, "Action": "sts:AssumeRoleWithWebIdentity"}]}`,
	} {
		files := read(t, examples+"sidecar/kubernetes")
		files["trust-policy.json"] = policy
		assert.ErrorContains(t, check(files), want)
	}
}
