package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/amazon-eks-pod-identity-webhook/pkg/cache"
	"github.com/aws/amazon-eks-pod-identity-webhook/pkg/containercredentials"
	"github.com/aws/amazon-eks-pod-identity-webhook/pkg/handler"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/api/admission/v1beta1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// The names that the EKS webhook uses.
const (
	roleAnnotation           = "eks.amazonaws.com/role-arn"
	regionalAnnotation       = "eks.amazonaws.com/sts-regional-endpoints"
	audienceAnnotation       = "eks.amazonaws.com/audience"
	expirationAnnotation     = "eks.amazonaws.com/token-expiration"
	skipContainersAnnotation = "eks.amazonaws.com/skip-containers"
	tokenVolume              = "aws-iam-token"
	tokenMount               = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
)

// mutate lets the EKS webhook of a region change a pod of the service account before the pod is created.
func mutate(t *testing.T, pod *corev1.Pod, account *corev1.ServiceAccount, region string) {
	t.Helper()
	webhook := handler.NewModifier(nil, handler.WithRegion(region),
		handler.WithServiceAccountCache(cache.NewFakeServiceAccountCache(account)),
		handler.WithContainerCredentialsConfig(&containercredentials.FakeConfig{}))
	text, err := json.Marshal(pod)
	require.NoError(t, err)
	response := webhook.MutatePod(&v1beta1.AdmissionReview{Request: &v1beta1.AdmissionRequest{
		Namespace: account.Namespace, Object: runtime.RawExtension{Raw: text},
	}})
	require.True(t, response.Allowed)
	patch, err := jsonpatch.DecodePatch(response.Patch)
	require.NoError(t, err)
	text, err = patch.Apply(text)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, pod))
}

// withContainers adds containers to the pod: an init container, one that sets its own region,
// one that sets its own role, and one that the webhook skips.
func withContainers(o *podOptions) {
	like := o.pod.Spec.Containers[0]
	add := func(to *[]corev1.Container, name string, env ...corev1.EnvVar) {
		c := *like.DeepCopy()
		c.Name, c.Env = name, append(c.Env, env...)
		*to = append(*to, c)
	}
	add(&o.pod.Spec.InitContainers, "migrate")
	add(&o.pod.Spec.Containers, "own-region", corev1.EnvVar{Name: "AWS_REGION", Value: "eu-central-1"})
	add(&o.pod.Spec.Containers, "own-role", corev1.EnvVar{Name: "AWS_ROLE_ARN", Value: minioRole()})
	add(&o.pod.Spec.Containers, "proxy")
	o.pod.Annotations[skipContainersAnnotation] = "proxy"
}

// The kit's environment begins with the variables that the webhook injects.
func TestWebhookInjectsWhatKitInjects(t *testing.T) {
	k := irsatest.New(t)
	sa := k.ServiceAccount("shop", "cart")
	kit := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	annotations := map[string]string{roleAnnotation: kit.RoleARN(), regionalAnnotation: "true"}
	pod := &corev1.Pod{Spec: corev1.PodSpec{ServiceAccountName: "cart", Containers: []corev1.Container{{}}}}
	mutate(t, pod, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "cart", Annotations: annotations}}, kit.Region())
	var injected []string
	for _, v := range pod.Spec.Containers[0].Env {
		injected = append(injected, v.Name+"="+strings.Replace(v.Value, tokenMount+"/token", kit.TokenFile(), 1))
	}
	require.Len(t, injected, 5)
	assert.Equal(t, injected, kit.Environ()[:5])
}

// The webhook has a minimum lifetime, and the API server a maximum.
func TestWebhookAnnotationsSetAudienceAndLifetime(t *testing.T) {
	for annotation, want := range map[string]int{"600": 600, "60": 600, "604800": 86400, "an hour": 86400} {
		p := newPod(t, withLifetime(annotation), func(o *podOptions) { o.account.Annotations[audienceAnnotation] = "sts.example.com" })
		_, claims := parts(t, p.token(t))
		assert.Equal(t, []any{"sts.example.com"}, claims["aud"])
		assert.InDelta(t, want, claims["exp"].(float64)-claims["iat"].(float64), 0, annotation)
	}
}

func TestDoctorPassesHealthyPod(t *testing.T) {
	p := newPod(t)
	code, report := p.doctor(t, p.Spec.Containers[0])
	assert.Equal(t, 0, code)
	for _, check := range []string{
		"environment", "other-credentials", "role", "settings", "token-path", "token-permission", "token", "claims",
		"audience", "lifetime", "region", "endpoint", "connection", "tls", "answer", "clock", "exchange", "expiry",
	} {
		assert.Regexp(t, `(?m)^passed +`+check+` `, report)
	}
	assert.Contains(t, report, "issuer "+issuer+", subject system:serviceaccount:"+p.Namespace+":cart, pod "+p.Name)
	assert.Regexp(t, `(?m)^warned +caller-identity +InvalidParameterValue`, report, "MinIO has no GetCallerIdentity")
	assert.Contains(t, report, "\nNo check failed, 1 has a warning. ")

	kit := newKitSTS(t, p)
	code, report = p.doctor(t, p.Spec.Containers[0], "AWS_ENDPOINT_URL_STS="+kit.STS.Endpoint(), "AWS_ROLE_ARN="+kit.role.ARN())
	assert.Equal(t, 0, code)
	assert.Regexp(t, `(?m)^passed +caller-identity +arn:aws:sts::111122223333:assumed-role/s3-writer/`+p.Namespace+`\.cart\.`, report)
}

func TestDoctorReportsContainersAndAnnotations(t *testing.T) {
	several := newPod(t, withContainers, withLifetime("3600"))
	elsewhere := newPod(t, func(o *podOptions) { o.region = "" })
	misaddressed := newPod(t, func(o *podOptions) { o.account.Annotations[audienceAnnotation] = "sts.us-west-2.amazonaws.com" })
	for name, tt := range map[string]struct {
		pod       *pod
		container string
		code      int
		reports   []string // regular expressions
	}{
		"init container":  {several, "migrate", 0, nil},
		"first container": {several, "cart", 0, nil},
		"own region":      {several, "own-region", 0, []string{`passed +region +eu-central-1, from AWS_REGION`}},
		"own role": {several, "own-role", 1, []string{
			`FAILED +environment +.*there is a role, but AWS_WEB_IDENTITY_TOKEN_FILE is not set`,
			`remove AWS_ROLE_ARN from the container's own env`,
		}},
		"skipped container":      {several, "proxy", 1, []string{`FAILED +environment +.*AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE are not set`}},
		"webhook without region": {elsewhere, "cart", 1, []string{`(?m)^FAILED +region `}},
		"another audience": {misaddressed, "cart", 1, []string{
			`(?m)^warned +audience +the token is for sts\.us-west-2\.amazonaws\.com, not for sts\.amazonaws\.com`,
			`correct the service account's annotation ` + audienceAnnotation,
			`(?m)^FAILED +exchange +InvalidParameterValue`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			containers := slices.Concat(tt.pod.Spec.InitContainers, tt.pod.Spec.Containers)
			i := slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == tt.container })
			code, report := tt.pod.doctor(t, containers[i])
			assert.Equal(t, tt.code, code)
			for _, pattern := range tt.reports {
				assert.Regexp(t, pattern, report)
			}
			assert.NotContains(t, report, tt.pod.token(t))
		})
	}
}

// STS cannot detect that a service account was deleted: the token remains valid until it
// expires, but it is no longer rotated.
func TestDoctorReportsExpiredTokenOfDeletedServiceAccount(t *testing.T) {
	p := newPod(t, withLifetime("600"))
	require.NoError(t, cluster.api.client.CoreV1().ServiceAccounts(p.Namespace).Delete(t.Context(), p.account.Name, metav1.DeleteOptions{}))
	code, _ := p.doctor(t, p.Spec.Containers[0])
	assert.Equal(t, 0, code, "the token is still valid")

	require.ErrorContains(t, newKubelet(clock.RealClock{}).sync(p.Pod), `serviceaccounts "cart" not found`)
	p.write(t, issuedAgo(t, p.token(t), 20*time.Minute)) // the state of the file 20 minutes later
	code, report := p.doctor(t, p.Spec.Containers[0])
	assert.Equal(t, 1, code)
	assert.Regexp(t, `(?m)^FAILED +lifetime +the token expired at `, report)
	assert.Regexp(t, `fix: the kubelet has not renewed the token, which expired at `, report)
	assert.Contains(t, report, "check that the service account still exists")
	assert.Contains(t, report, `Begin with "lifetime".`)
}
