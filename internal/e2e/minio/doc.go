// Package minio names the MinIO that the tests of internal/e2e run as a program. It
// is a module of its own, so that MinIO's dependencies do not meet Kubernetes', and
// nothing is linked with it: MinIO is under the AGPL.
package minio
