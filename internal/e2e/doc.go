// Package e2e shows the library on what the field runs, and not on its own kit:
//
//   - the Kubernetes API server with etcd, built from k8s.io/kubernetes, which issues
//     the tokens by its TokenRequest API and publishes its keys for OpenID discovery;
//   - the kubelet's own token manager, which renews them, and its AtomicWriter, which
//     writes them into the volume;
//   - pods as the EKS webhook changes them, whose containers run as child processes;
//   - MinIO as STS and S3, configured with the API server as its OpenID provider;
//   - irsatest's STS beside it, which verifies the API server's tokens by the API
//     server's own discovery.
//
// It shows too that irsatest's tokens, its volume and the order in which it writes one
// are the same as the real ones.
//
// Run it on Linux, from this folder:
//
//	go test -timeout 40m ./...   # the first time: it builds Kubernetes and MinIO
//	go test ./...                # later
//
// Everything comes from Go modules. The first build takes some 3 GB of memory and, on two
// processors, ten minutes. TestMain builds the programs, says how it gets on
// (go test -v shows it), starts them on free ports of loopback, and ends them.
//
// MinIO is under the AGPL: it is run as a program, never linked, and shipped to nobody. It
// has a module of its own, minio, so that its dependencies do not meet Kubernetes'.
//
// What is not real here: there is no mount namespace, so AWS_WEB_IDENTITY_TOKEN_FILE has the
// volume's folder in place of the container's mount path; there is no kubelet process, only
// its packages, and its token manager has a clock of the tests; the webhook is not run, but
// its changes are made by the tests. The order of writing is seen by inotify, which tells
// nothing of a folder that is only just being made: that the token is written before the swap
// is seen where it cannot be written, and that it gets its mode before it, nowhere. A token
// that another user may not read is shown to the doctor only where root runs the tests.
package e2e
