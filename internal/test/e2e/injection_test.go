package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

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
	said := map[string]result{}
	for _, c := range append(p.Spec.InitContainers, p.Spec.Containers...) {
		said[c.Name] = p.run(t, nil, c, cluster.programs.doctor)
	}
	for _, name := range []string{"migrate", "cart"} {
		assert.Equal(t, 0, said[name].code, name)
	}
	assert.Regexp(t, `passed +region +eu-central-1, from AWS_REGION`, said["own-region"].out)
	assert.Equal(t, 1, said["own-role"].code)
	assert.Regexp(t, `FAILED +environment +.*there is a role, but neither AWS_WEB_IDENTITY_TOKEN_FILE`, said["own-role"].out)
	assert.Contains(t, said["own-role"].out, "remove AWS_ROLE_ARN from the container's own env")
	assert.Equal(t, 1, said["proxy"].code)
	assert.Regexp(t, `FAILED +environment +.*AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE are not set`, said["proxy"].out)
}

func TestWebhookWithoutRegionInjectsNone(t *testing.T) {
	p := newPod(t, func(o *podOptions) { o.webhook = webhook{} })
	assert.Equal(t, []string{
		"AWS_ROLE_ARN=" + minioRole(),
		"AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
	}, environment(p.Spec.Containers[0]))
	said := doctor(t, p)
	assert.Equal(t, 1, said.code)
	assert.Regexp(t, `(?m)^FAILED +region `, said.out)
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
