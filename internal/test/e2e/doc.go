// Package e2e tests the library with production components instead of its own test kit:
//
//   - the Kubernetes API server with etcd, built from k8s.io/kubernetes, which issues
//     the tokens through its TokenRequest API and publishes its keys for OpenID discovery;
//   - the kubelet's token manager, which rotates the tokens, and its AtomicWriter, which
//     writes them to the volume;
//   - the handler of the EKS webhook, which changes the pods, whose containers run as child processes;
//   - MinIO as STS and S3, configured with the API server as its OpenID provider;
//   - the programs of examples/s3 and examples/minio, which use MinIO through the SDK and minio-go;
//   - in addition to MinIO, the STS of irsatest, which verifies the API server's tokens
//     through the API server's discovery.
//
// It also tests that the tokens of irsatest, the layout of its volume, and the order in
// which it writes the volume are the same as those of Kubernetes.
//
// Run it on Linux, in this directory:
//
//	go test -timeout 40m ./...   # the first time: it builds Kubernetes and MinIO
//	go test ./...                # later
//
// All programs are built from Go modules. The first build needs about 3 GB of memory and
// takes ten minutes on two processors. TestMain builds the programs, starts them on free ports
// of the loopback interface, and stops them.
//
// MinIO is licensed under the AGPL: the tests run it as a program, never link it, and do not
// distribute it. It has a separate module, minio, so that its dependencies do not mix with
// those of Kubernetes.
//
// The setup differs from production in these points:
//
//   - There is no mount namespace, so AWS_WEB_IDENTITY_TOKEN_FILE contains the directory of the
//     volume instead of the mount path in the container.
//   - There is no kubelet process. The tests use the packages of the kubelet, and its token
//     manager uses a clock of the tests.
//   - The webhook is not a server, and does not read the service accounts from the API server.
//   - The tests observe the order of writes through inotify, which reports no events in a
//     directory while the directory is being created. They show that the token is written before
//     the swap only with a token that cannot be written, and do not show that the mode of
//     the token is set before the swap.
package e2e
