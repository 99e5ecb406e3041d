package e2e

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// doctor runs examples/doctor in the pod's container.
func doctor(t *testing.T, p *pod) result {
	t.Helper()
	return p.run(t, nil, p.Spec.Containers[0], cluster.programs.doctor)
}

func TestDoctorPassesHealthyPod(t *testing.T) {
	p := newPod(t)
	output := doctor(t, p)
	assert.Equal(t, 0, output.code)
	for _, check := range []string{
		"environment", "other-credentials", "role", "settings", "token-path", "token-permission", "token", "claims",
		"audience", "lifetime", "region", "endpoint", "connection", "tls", "answer", "clock", "exchange", "expiry",
	} {
		assert.Regexp(t, `(?m)^passed +`+check+` `, output.out)
	}
	assert.Contains(t, output.out, "issuer "+cluster.api.issuer()+", subject system:serviceaccount:"+p.Namespace+":cart, pod "+p.Name)
	assert.Regexp(t, `(?m)^warned +caller-identity +InvalidParameterValue`, output.out, "MinIO has no GetCallerIdentity")
	assert.Contains(t, output.out, "\nNo check failed, 1 has a warning.\n")
}

func TestDoctorReportsWrongAudience(t *testing.T) {
	p := newPod(t, func(o *podOptions) { o.account.Annotations[audienceAnnotation] = "sts.us-west-2.amazonaws.com" })
	output := doctor(t, p)
	assert.Equal(t, 1, output.code)
	assert.Regexp(t, `(?m)^warned +audience +the token is for sts\.us-west-2\.amazonaws\.com, not for sts\.amazonaws\.com`, output.out)
	assert.Contains(t, output.out, "correct the service account's annotation "+audienceAnnotation)
	assert.Regexp(t, `(?m)^FAILED +exchange +InvalidParameterValue`, output.out)
	assert.NotContains(t, output.out, p.token(t))
}

// STS cannot detect that a service account was deleted: the token remains valid until it
// expires, but it is no longer rotated.
func TestDoctorReportsExpiredTokenOfDeletedServiceAccount(t *testing.T) {
	p := newPod(t, withLifetime("600"))
	require.NoError(t, cluster.api.client.CoreV1().ServiceAccounts(p.Namespace).Delete(t.Context(), p.account.Name, metav1.DeleteOptions{}))
	output := doctor(t, p)
	assert.Equal(t, 0, output.code, "the token is still valid")

	kubelet := newKubelet(cluster.api.client)
	require.ErrorContains(t, kubelet.sync(p.Pod), `serviceaccounts "cart" not found`)
	p.write(t, issuedAgo(t, p.token(t), 20*time.Minute)) // the state of the file 20 minutes later
	output = doctor(t, p)
	assert.Equal(t, 1, output.code)
	assert.Regexp(t, `(?m)^FAILED +lifetime +the token expired at `, output.out)
	assert.Regexp(t, `do: the kubelet has not renewed the token, which expired at `, output.out)
	assert.Contains(t, output.out, "check that the service account still exists")
	assert.Contains(t, output.out, "Begin with \"lifetime\".")
}

// If all containers run as one user, the kubelet makes the token readable for this user only.
// Without an fsGroup, a program that then changes its user cannot read the token.
func TestDoctorReportsUnreadableToken(t *testing.T) {
	self := int64(os.Geteuid())
	p := newPod(t, func(o *podOptions) { o.pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: &self} })
	dir := p.dir()
	info, err := os.Stat(filepath.Join(dir, "token"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	mode, user := info.Mode(), &syscall.Credential{Uid: 65532, Gid: 65532}
	if self != 0 { // the test cannot change its user, so it removes its own permission
		mode, user = 0, nil
		require.NoError(t, os.Chmod(filepath.Join(dir, "token"), mode))
	}
	output := p.run(t, user, p.Spec.Containers[0], cluster.programs.doctor)
	assert.Equal(t, 1, output.code)
	assert.Regexp(t, `(?m)^FAILED +token-permission +open .*: permission denied`, output.out)
	assert.Contains(t, output.out, "the file has the mode "+mode.String())
	if user != nil {
		assert.Contains(t, output.out, "belongs to user 0 and group 0, and the process runs as user 65532 and group 65532")
	}
	assert.Contains(t, output.out, "set securityContext.fsGroup in the pod")
	assert.Regexp(t, `\b1 of \d+ checks failed\.`, output.out)

	// With an fsGroup, the kubelet writes the file with the mode 0640 and that group.
	require.NoError(t, os.Chmod(filepath.Join(dir, "token"), 0o640))
	if user != nil {
		require.NoError(t, os.Chown(filepath.Join(dir, "token"), 0, int(user.Gid)))
	}
	output = p.run(t, user, p.Spec.Containers[0], cluster.programs.doctor)
	assert.Equal(t, 0, output.code)
}
