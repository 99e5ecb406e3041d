package manifests

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

const examples = "../../../examples/"

// check returns the faults of the files of a directory.
func check(files map[string]string) error {
	m, err := decode(files)
	if err != nil {
		return err
	}
	var errs faults
	errs.require(len(m.workloads) > 0, "no pod")
	for _, w := range m.workloads {
		if err := w.check(m); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", w.name, err))
		}
	}
	if document, found := files["permissions-policy.json"]; found {
		errs = append(errs, checkPermissions(document))
	}
	return errors.Join(errs...)
}

func TestCheckAcceptsExamples(t *testing.T) {
	directories, err := filepath.Glob(examples + "*/kubernetes")
	require.NoError(t, err)
	for _, name := range []string{"s3", "sidecar", "observability", "controller", "crossaccount"} {
		assert.Contains(t, directories, examples+name+"/kubernetes")
	}
	for _, directory := range directories {
		t.Run(filepath.Base(filepath.Dir(directory)), func(t *testing.T) {
			require.NoError(t, check(read(t, directory)))
		})
	}
}

func TestCheckPodAcceptsDoctor(t *testing.T) {
	m, err := decode(read(t, examples+"doctor"))
	require.NoError(t, err)
	require.Len(t, m.workloads, 1)
	var f faults
	f.pod(m.workloads[0].pod, false)
	require.Empty(t, f)
}

func TestREADMEManifestsAreValid(t *testing.T) {
	page, err := os.ReadFile("../../../README.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindAllSubmatch(page, -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		_, err := decode(map[string]string{"README.yaml": string(block[1])})
		require.NoError(t, err)
	}
}

func TestPartnerRoleRequiresExternalID(t *testing.T) {
	files := read(t, examples+"crossaccount/kubernetes")
	policy, err := trustpolicy.Parse([]byte(files["partner-trust-policy.json"]))
	require.NoError(t, err)
	m, err := decode(files)
	require.NoError(t, err)
	request := trustpolicy.Request{Action: "sts:AssumeRole", Principal: trustpolicy.Principal{ARN: m.roles["shop/"+m.workloads[0].pod.Spec.ServiceAccountName]}}
	assert.False(t, policy.Evaluate(request).Allowed())
	request.Context = map[string][]string{"sts:ExternalId": {"shop-4711"}}
	assert.True(t, policy.Evaluate(request).Allowed())
	request.Principal.ARN += "-other"
	assert.False(t, policy.Evaluate(request).Allowed())
}

// A workload is a manifest that creates pods.
type workload struct {
	name       string // kind, namespace and name
	meta       metav1.ObjectMeta
	pod        corev1.PodTemplateSpec
	deployment *appsv1.Deployment // or nil
}

// manifests contains the manifests of a directory and the role's trust policy.
type manifests struct {
	roles       map[string]string // role ARNs by namespace and name of the service account
	bound       []rbacv1.Subject  // the subjects of role bindings
	workloads   []workload
	policies    map[string][]networkingv1.NetworkPolicySpec // by namespace
	trustPolicy []byte
}

// read returns the files of a directory by name.
func read(t *testing.T, directory string) map[string]string {
	t.Helper()
	files := map[string]string{}
	paths, err := filepath.Glob(directory + "/*.*")
	require.NoError(t, err)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		files[filepath.Base(path)] = string(content)
	}
	return files
}

// decoder decodes documents as the API server does. A field that Kubernetes does not know is an error.
var decoder = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	utilruntime.Must(errors.Join(corev1.AddToScheme(scheme), appsv1.AddToScheme(scheme), batchv1.AddToScheme(scheme), networkingv1.AddToScheme(scheme), rbacv1.AddToScheme(scheme)))
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}()

func decode(files map[string]string) (manifests, error) {
	m := manifests{
		roles:       map[string]string{},
		policies:    map[string][]networkingv1.NetworkPolicySpec{},
		trustPolicy: []byte(files["trust-policy.json"]),
	}
	for name, content := range files {
		if filepath.Ext(name) != ".yaml" {
			continue
		}
		for _, document := range bytes.Split([]byte(content), []byte("\n---\n")) {
			object, _, err := decoder.Decode(document, nil, nil)
			if err == nil {
				err = m.add(object)
			}
			if err != nil {
				return m, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return m, nil
}

func (m *manifests) add(object runtime.Object) error {
	var f faults
	run := func(kind string, meta metav1.ObjectMeta, pod corev1.PodTemplateSpec, deployment *appsv1.Deployment) {
		m.workloads = append(m.workloads, workload{kind + " " + meta.Namespace + "/" + meta.Name, meta, pod, deployment})
	}
	switch o := object.(type) {
	case *corev1.ServiceAccount:
		m.roles[o.Namespace+"/"+o.Name] = o.Annotations[roleARN]
	case *rbacv1.Role:
		f.equal("what role "+o.Name+" allows", o.Rules, rules)
	case *rbacv1.RoleBinding:
		m.bound = append(m.bound, o.Subjects...)
	case *networkingv1.NetworkPolicy:
		m.policies[o.Namespace] = append(m.policies[o.Namespace], o.Spec)
	case *corev1.ConfigMap:
	case *corev1.Pod:
		run("Pod", o.ObjectMeta, corev1.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec}, nil)
	case *batchv1.Job:
		run("Job", o.ObjectMeta, o.Spec.Template, nil)
	case *appsv1.Deployment:
		run("Deployment", o.ObjectMeta, o.Spec.Template, o)
	default:
		f.require(false, "unexpected kind %T", o)
	}
	return errors.Join(f...)
}

func TestCheckReportsMutations(t *testing.T) {
	text, err := os.ReadFile("testdata/mutations.txt")
	require.NoError(t, err)
	var file string
	var good map[string]string
	for _, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n")[1:] {
		lines := strings.Split(block, "\n")
		if words := strings.Fields(lines[0]); words[0] == "FILE" {
			good, file = read(t, examples+words[1]+"/kubernetes"), words[2]
			require.NoError(t, check(good))
			continue
		}
		var texts [2][]string // old and new
		for _, line := range lines[1:] {
			i := strings.Index("-+", line[:1])
			texts[i] = append(texts[i], line[1:])
		}
		old := strings.Join(texts[0], "\n")
		require.Contains(t, good[file], old)
		broken := maps.Clone(good)
		broken[file] = strings.Replace(good[file], old, strings.Join(texts[1], "\n"), 1)
		assert.ErrorContains(t, check(broken), lines[0], block)
	}
	assert.ErrorContains(t, check(nil), "no pod")
}
