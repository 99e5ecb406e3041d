// Package manifests checks the Kubernetes manifests and the IAM policies of the examples. It is a
// separate module, so that the library does not depend on Kubernetes.
package manifests
