package manifests

import (
	"errors"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// metricsPort is the name of the only port that other pods may connect to, and monitoring
// the namespace of these pods.
const (
	metricsPort = "metrics"
	monitoring  = "monitoring"
)

// checkNetwork checks that only Prometheus may connect to a workload with metrics or with a
// sidecar. The kubelet needs no rule.
func checkNetwork(w workload, policies []networkingv1.NetworkPolicy) error {
	if !needsPolicy(w.pod.Spec) {
		return nil
	}
	var f faults
	covered := false
	for _, p := range policies {
		selector, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
		if err != nil {
			return err
		}
		if p.Namespace != w.meta.Namespace || !selector.Matches(labels.Set(w.pod.Labels)) {
			continue
		}
		covered = covered || slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress)
		for _, rule := range p.Spec.Ingress {
			f.ingress(rule)
		}
	}
	f.require(covered, "no NetworkPolicy of ingress selects the pods")
	return errors.Join(f...)
}

// needsPolicy reports whether a pod has metrics or a sidecar with credentials.
func needsPolicy(spec corev1.PodSpec) bool {
	return slices.ContainsFunc(append(slices.Clone(spec.InitContainers), spec.Containers...), func(c corev1.Container) bool {
		return value(c, "AWS_CONTAINER_CREDENTIALS_FULL_URI") != "" || slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool {
			return p.Name == metricsPort
		})
	})
}

// ingress checks that a rule is for the metrics, and for pods of the monitoring namespace.
func (f *faults) ingress(rule networkingv1.NetworkPolicyIngressRule) {
	f.require(len(rule.Ports) > 0, "a NetworkPolicy opens all ports")
	for _, p := range rule.Ports {
		f.require(p.Port != nil && p.Port.StrVal == metricsPort && p.EndPort == nil, "a NetworkPolicy opens another port than that of the metrics")
		f.require(p.Protocol == nil || *p.Protocol == corev1.ProtocolTCP, "a NetworkPolicy opens another protocol than TCP")
	}
	f.require(len(rule.From) > 0, "a NetworkPolicy lets everybody in")
	for _, from := range rule.From {
		f.require(from.IPBlock == nil, "a NetworkPolicy lets addresses in")
		f.require(from.NamespaceSelector != nil && maps.Equal(from.NamespaceSelector.MatchLabels, map[string]string{corev1.LabelMetadataName: monitoring}) &&
			len(from.NamespaceSelector.MatchExpressions) == 0, "a NetworkPolicy lets another namespace in than that of the monitoring")
		f.require(from.PodSelector != nil && len(from.PodSelector.MatchLabels) > 0, "a NetworkPolicy lets all pods of a namespace in")
	}
}
