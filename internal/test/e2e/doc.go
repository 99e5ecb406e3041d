// Package e2e tests the library with production components instead of its own test kit:
//
//   - etcd and the Kubernetes API server, which issues the tokens through its TokenRequest API and
//     publishes its keys for OpenID discovery;
//   - the kubelet's token manager, which rotates the tokens, and its AtomicWriter, which writes them;
//   - the handler of the EKS webhook, which changes the pods, whose containers run as child processes;
//   - MinIO as STS and S3, configured with the API server as its OpenID provider;
//   - the programs of examples/s3 and examples/minio, which use MinIO through the SDK and minio-go.
//
// It also tests that irsatest verifies the API server's tokens, and that its tokens, the layout of its
// volume, and the order in which it writes the volume are the same as those of Kubernetes.
//
// Run it on Linux, in this directory, with "go test -timeout 40m ./...". The first time, it builds Kubernetes
// and MinIO, which needs about 3 GB of memory and takes ten minutes on two processors. TestMain starts the
// programs on free ports of the loopback interface, and stops them.
//
// MinIO is licensed under the AGPL: the tests run it as a program, never link it, and do not distribute it.
// Its module, minio, keeps its dependencies apart from those of Kubernetes.
//
// The setup differs from production in these points:
//
//   - AWS_WEB_IDENTITY_TOKEN_FILE contains the directory of the volume instead of the mount path.
//   - There is no kubelet process. The kubelet's token manager uses a clock of the tests.
//   - The webhook is not a server, and does not read the service accounts from the API server.
//   - The tests observe the order of writes through inotify, which reports no events in a directory
//     while it is being created. They do not show that the mode of the token is set before the swap.
package e2e
