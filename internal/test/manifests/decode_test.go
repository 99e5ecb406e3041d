package manifests

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// workload is a manifest that makes pods.
type workload struct {
	name string // its kind, namespace and name
	meta metav1.ObjectMeta
	pod  corev1.PodTemplateSpec
}

// manifests are those of one folder, with the role's trust policy.
type manifests struct {
	accounts    []corev1.ServiceAccount
	bound       []rbacv1.Subject // who may ask the API server for something
	workloads   []workload
	policies    []networkingv1.NetworkPolicy
	trustPolicy []byte
}

// read reads all manifests of a folder.
func read(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, pattern := range []string{"*.yaml", "*.json"} {
		paths, err := filepath.Glob(filepath.Join(folder, pattern))
		require.NoError(t, err)
		for _, path := range paths {
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			files[filepath.Base(path)] = string(content)
		}
	}
	return files
}

// decode decodes the files of a folder. A field that Kubernetes does not know is an error.
func decode(files map[string]string) (manifests, error) {
	m := manifests{trustPolicy: []byte(files["trust-policy.json"])}
	for name, content := range files {
		if filepath.Ext(name) != ".yaml" {
			continue
		}
		for _, document := range bytes.Split([]byte(content), []byte("\n---\n")) {
			if err := m.add(document); err != nil {
				return m, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return m, nil
}

// add decodes a document by its kind.
func (m *manifests) add(document []byte) error {
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(document, &kind); err != nil {
		return err
	}
	strictly := func(into any) error { return unmarshal(document, into) }
	var err error
	switch of := kind.APIVersion + " " + kind.Kind; of {
	case "v1 ServiceAccount":
		var sa corev1.ServiceAccount
		err = strictly(&sa)
		m.accounts = append(m.accounts, sa)
	case "rbac.authorization.k8s.io/v1 Role":
		var r rbacv1.Role
		err = errors.Join(strictly(&r), checkRights(r))
	case "rbac.authorization.k8s.io/v1 RoleBinding":
		var b rbacv1.RoleBinding
		err = strictly(&b)
		m.bound = append(m.bound, b.Subjects...)
	case "networking.k8s.io/v1 NetworkPolicy":
		var p networkingv1.NetworkPolicy
		err = strictly(&p)
		m.policies = append(m.policies, p)
	case "v1 ConfigMap":
		err = strictly(&corev1.ConfigMap{})
	case "v1 Pod":
		var p corev1.Pod
		err = strictly(&p)
		m.run(kind, p.ObjectMeta, corev1.PodTemplateSpec{ObjectMeta: p.ObjectMeta, Spec: p.Spec})
	case "batch/v1 Job":
		var j batchv1.Job
		err = strictly(&j)
		m.run(kind, j.ObjectMeta, j.Spec.Template)
	case "apps/v1 Deployment":
		var d appsv1.Deployment
		err = strictly(&d)
		m.run(kind, d.ObjectMeta, d.Spec.Template)
		if err == nil {
			err = errors.Join(checkSelector(d), checkProbed(d))
		}
	default:
		return fmt.Errorf("a manifest of the unknown kind %q", of)
	}
	return err
}

// unmarshal reads YAML as the API server does: yaml.UnmarshalStrict by itself would take
// a number for a string, and a field's name in another case.
func unmarshal(document []byte, into any) error {
	converted, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return err
	}
	unknown, err := json.UnmarshalStrict(converted, into)
	return errors.Join(append(unknown, err)...)
}

// run adds a workload.
func (m *manifests) run(kind metav1.TypeMeta, meta metav1.ObjectMeta, pod corev1.PodTemplateSpec) {
	m.workloads = append(m.workloads, workload{kind.Kind + " " + meta.Namespace + "/" + meta.Name, meta, pod})
}

// talks says that somebody has rights at the API server.
func (m *manifests) talks(namespace, account string) bool {
	return slices.Contains(m.bound, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account})
}

// checkRights checks that a role is for tokens of service accounts that it names.
func checkRights(r rbacv1.Role) error {
	for _, rule := range r.Rules {
		if !slices.Equal(rule.Resources, []string{"serviceaccounts/token"}) || !slices.Equal(rule.Verbs, []string{"create"}) || len(rule.ResourceNames) == 0 {
			return fmt.Errorf("the role %s is for more than the tokens of some service accounts", r.Name)
		}
	}
	return nil
}

// checkProbed checks that somebody asks how the pods of a deployment are.
func checkProbed(d appsv1.Deployment) error {
	spec := d.Spec.Template.Spec
	if !slices.ContainsFunc(append(spec.InitContainers, spec.Containers...), func(c corev1.Container) bool {
		return c.ReadinessProbe != nil && c.LivenessProbe != nil
	}) {
		return errors.New("the deployment has no probes")
	}
	return nil
}

// checkSelector checks that a deployment finds its own pods.
func checkSelector(d appsv1.Deployment) error {
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return err
	}
	if selector.Empty() || !selector.Matches(labels.Set(d.Spec.Template.Labels)) {
		return fmt.Errorf("the selector %q does not match the labels of the pods", selector)
	}
	return nil
}
