// Package manifests checks the Kubernetes manifests and the IAM policies of the examples:
// that they are well-formed, that pods have no more rights than they need, and that the
// roles trust the service accounts of the pods, and no others. It is a module of its
// own, so that Kubernetes is no dependency of irsakit.
package manifests
