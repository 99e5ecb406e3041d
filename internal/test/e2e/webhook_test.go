package e2e

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/irsakit/irsakit/irsa/irsatest"
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
	lifetime, err := strconv.ParseInt(cmp.Or(pod.Annotations[expirationAnnotation], account.Annotations[expirationAnnotation]), 10, 64)
	if err != nil {
		lifetime = 86400
	}
	lifetime = min(max(lifetime, 600), 86400)
	mode := int32(0o644)
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: tokenVolume, VolumeSource: corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{
			DefaultMode: &mode,
			Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
				Audience:          cmp.Or(account.Annotations[audienceAnnotation], audience),
				ExpirationSeconds: &lifetime,
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
	o.pod.Annotations = map[string]string{skipContainersAnnotation: "proxy"}
}

// environment returns the variables in a container, without those that the pod itself sets to
// use MinIO. The webhook can inject the remaining ones.
func environment(c corev1.Container) []string {
	var out []string
	for _, v := range c.Env {
		if !strings.HasPrefix(v.Name, "AWS_ENDPOINT_URL_") && v.Name != "AWS_CA_BUNDLE" {
			out = append(out, v.Name+"="+v.Value)
		}
	}
	return out
}

func TestWebhookInjectionIsStored(t *testing.T) {
	p := newPod(t, withContainers)
	whole := []string{
		"AWS_STS_REGIONAL_ENDPOINTS=regional",
		"AWS_DEFAULT_REGION=us-west-2",
		"AWS_REGION=us-west-2",
		"AWS_ROLE_ARN=" + minioRole(),
		"AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
	}
	assert.Equal(t, whole, environment(p.Spec.InitContainers[0]))
	for _, c := range p.Spec.Containers {
		want := map[string][]string{
			"cart":       whole,
			"own-region": {"AWS_REGION=eu-central-1", whole[0], whole[3], whole[4]},
			"own-role":   {whole[3], whole[0], whole[1], whole[2]},
			"proxy":      nil,
		}[c.Name]
		assert.Equal(t, want, environment(c), c.Name)
		i := slices.IndexFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == tokenVolume })
		require.Equal(t, c.Name != "proxy", i >= 0, c.Name)
		if i >= 0 {
			mount := corev1.VolumeMount{Name: tokenVolume, MountPath: "/var/run/secrets/eks.amazonaws.com/serviceaccount", ReadOnly: true}
			assert.Equal(t, mount, c.VolumeMounts[i], c.Name)
		}
	}
	i := slices.IndexFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == tokenVolume })
	require.NotEqual(t, -1, i)
	volume := p.Spec.Volumes[i]
	assert.Equal(t, int32(0o644), *volume.Projected.DefaultMode)
	source := volume.Projected.Sources[0].ServiceAccountToken
	assert.Equal(t, audience, source.Audience)
	assert.Equal(t, int64(86400), *source.ExpirationSeconds)
	assert.Equal(t, "token", source.Path)
}

func TestDoctorReportsEnvironmentOfEachContainer(t *testing.T) {
	p := newPod(t, withContainers, withLifetime("3600"))
	output := map[string]result{}
	for _, c := range append(p.Spec.InitContainers, p.Spec.Containers...) {
		output[c.Name] = p.run(t, nil, c, cluster.programs.doctor)
	}
	for _, name := range []string{"migrate", "cart"} {
		assert.Equal(t, 0, output[name].code, name)
	}
	assert.Regexp(t, `passed +region +eu-central-1, from AWS_REGION`, output["own-region"].out)
	assert.Equal(t, 1, output["own-role"].code)
	assert.Regexp(t, `FAILED +environment +.*there is a role, but neither AWS_WEB_IDENTITY_TOKEN_FILE`, output["own-role"].out)
	assert.Contains(t, output["own-role"].out, "remove AWS_ROLE_ARN from the container's own env")
	assert.Equal(t, 1, output["proxy"].code)
	assert.Regexp(t, `FAILED +environment +.*AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE are not set`, output["proxy"].out)
}

func TestWebhookWithoutRegionInjectsNone(t *testing.T) {
	p := newPod(t, func(o *podOptions) { o.webhook = webhook{} })
	assert.Equal(t, []string{
		"AWS_ROLE_ARN=" + minioRole(),
		"AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
	}, environment(p.Spec.Containers[0]))
	output := doctor(t, p)
	assert.Equal(t, 1, output.code)
	assert.Regexp(t, `(?m)^FAILED +region `, output.out)
}

func TestWebhookIgnoresServiceAccountWithoutRole(t *testing.T) {
	p := newPod(t, func(o *podOptions) { o.account.Annotations = nil })
	assert.Empty(t, environment(p.Spec.Containers[0]))
	for _, v := range p.Spec.Volumes {
		assert.NotEqual(t, tokenVolume, v.Name)
	}
}

func TestWebhookAnnotationsSetAudienceAndLifetime(t *testing.T) {
	p := newPod(t, withLifetime("600"), func(o *podOptions) { o.account.Annotations[audienceAnnotation] = "sts.example.com" })
	_, claims := parts(t, p.token(t))
	assert.Equal(t, []any{"sts.example.com"}, claims["aud"])
	assert.InDelta(t, 600, claims["exp"].(float64)-claims["iat"].(float64), 0)

	for annotation, want := range map[string]int{"60": 600, "604800": 86400, "an hour": 86400} {
		p := newPod(t, withLifetime(annotation))
		_, claims := parts(t, p.token(t))
		assert.InDelta(t, want, claims["exp"].(float64)-claims["iat"].(float64), 0, annotation)
	}
}

// The kit's environment begins with the variables that the webhook injects.
func TestWebhookEnvironmentEqualsKits(t *testing.T) {
	k := irsatest.New(t)
	sa := k.ServiceAccount("shop", "cart")
	kit := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	c := corev1.Container{}
	webhook{region: kit.Region(), regionalSTS: true}.mutateContainer(&c, kit.RoleARN())
	want := environment(c)
	want[len(want)-1] = "AWS_WEB_IDENTITY_TOKEN_FILE=" + kit.TokenFile()
	assert.Equal(t, want, kit.Environ()[:len(want)])
}
