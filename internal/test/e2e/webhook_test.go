package e2e

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// The names that the EKS webhook uses (amazon-eks-pod-identity-webhook v0.6.17,
// pkg/handler/handler.go and pkg/annotations.go).
const (
	roleAnnotation           = "eks.amazonaws.com/role-arn"
	audienceAnnotation       = "eks.amazonaws.com/audience"
	expirationAnnotation     = "eks.amazonaws.com/token-expiration"
	skipContainersAnnotation = "eks.amazonaws.com/skip-containers"
	tokenVolume              = "aws-iam-token"
	tokenMount               = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
)

// A webhook changes pods in the way in which the EKS webhook does.
type webhook struct {
	region      string // "" for a webhook without a region
	regionalSTS bool
}

// mutate changes a pod of the service account before the pod is created.
func (w webhook) mutate(pod *corev1.Pod, account *corev1.ServiceAccount) {
	role := account.Annotations[roleAnnotation]
	if role == "" {
		return
	}
	skip := strings.Split(pod.Annotations[skipContainersAnnotation], ",")
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			if !slices.Contains(skip, containers[i].Name) {
				w.mutateContainer(&containers[i], role)
			}
		}
	}
	life, err := strconv.ParseInt(cmp.Or(pod.Annotations[expirationAnnotation], account.Annotations[expirationAnnotation]), 10, 64)
	if err != nil {
		life = 86400
	}
	life = min(max(life, 600), 86400)
	mode := int32(0o644)
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: tokenVolume, VolumeSource: corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{
			DefaultMode: &mode,
			Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
				Audience:          cmp.Or(account.Annotations[audienceAnnotation], audience),
				ExpirationSeconds: &life,
				Path:              "token",
			}}},
		},
	}})
}

func (w webhook) mutateContainer(c *corev1.Container, role string) {
	has := func(names ...string) bool {
		return slices.ContainsFunc(c.Env, func(v corev1.EnvVar) bool { return slices.Contains(names, v.Name) })
	}
	var env []corev1.EnvVar
	if w.regionalSTS && !has("AWS_STS_REGIONAL_ENDPOINTS") {
		env = append(env, corev1.EnvVar{Name: "AWS_STS_REGIONAL_ENDPOINTS", Value: "regional"})
	}
	if w.region != "" && !has("AWS_REGION", "AWS_DEFAULT_REGION") {
		env = append(env, corev1.EnvVar{Name: "AWS_DEFAULT_REGION", Value: w.region}, corev1.EnvVar{Name: "AWS_REGION", Value: w.region})
	}
	if !has("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE") {
		env = append(env, corev1.EnvVar{Name: "AWS_ROLE_ARN", Value: role}, corev1.EnvVar{Name: "AWS_WEB_IDENTITY_TOKEN_FILE", Value: tokenMount + "/token"})
	}
	c.Env = append(c.Env, env...)
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: tokenVolume, MountPath: tokenMount, ReadOnly: true})
}
