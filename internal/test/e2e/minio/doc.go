// Package minio specifies the version of MinIO that the tests in internal/test/e2e run as a
// program. It is a separate module, so that MinIO's dependencies do not mix with those
// of Kubernetes. MinIO is licensed under the AGPL, so no code is linked with it.
package minio
