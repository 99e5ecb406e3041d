//go:build !race

// Controlplane runs etcd and the Kubernetes API server in one process, for the tests in
// internal/test/e2e:
//
//	controlplane <folder of etcd> [flag of kube-apiserver]...
//
// etcd stores its data in the folder and listens on a socket there, so that the next run
// continues with the same data, possibly with other flags.
//
// It is not built with the race detector, which would double the build time without testing
// the library.
package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: controlplane <folder of etcd> [flag of kube-apiserver]...")
		os.Exit(2)
	}
	code, err := run(os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
	}
	os.Exit(code)
}

// run serves until SIGTERM, and returns the exit code of the API server.
func run(dir string, flags []string) (int, error) {
	etcd, endpoint, err := startEtcd(dir)
	if err != nil {
		return 1, fmt.Errorf("starting etcd: %w", err)
	}
	defer etcd.Close()
	command := app.NewAPIServerCommand()
	command.SetArgs(append(flags, "--etcd-servers="+endpoint))
	return cli.Run(command), nil
}

// startEtcd starts an etcd with one member. It listens only on Unix sockets, so that no other
// process connects to it by accident.
func startEtcd(dir string) (*embed.Etcd, string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil { //nolint:gosec // the user chooses the folder
		return nil, "", err
	}
	clients := url.URL{Scheme: "unix", Path: filepath.Join(dir, "clients.sock")}
	peers := url.URL{Scheme: "unix", Path: filepath.Join(dir, "peers.sock")}
	config := embed.NewConfig()
	config.Name = "e2e"
	config.Dir = filepath.Join(dir, "data")
	config.LogLevel = "warn"
	config.LogOutputs = []string{"stderr"}
	config.UnsafeNoFsync = true // the data need not survive a crash of the machine
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{clients}, []url.URL{clients}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peers}, []url.URL{peers}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, "", err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, clients.String(), nil
	case err := <-etcd.Err():
		return nil, "", err
	case <-time.After(time.Minute):
		etcd.Close()
		return nil, "", fmt.Errorf("not ready after a minute")
	}
}
