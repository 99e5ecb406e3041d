package e2e

import (
	"encoding/json"
	"strings"
	"testing"

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
