package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
)

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
