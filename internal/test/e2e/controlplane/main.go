//go:build !race

// Controlplane runs etcd and the Kubernetes API server in one process, for the tests in
// internal/test/e2e:
//
//	controlplane <directory of etcd> [flag of kube-apiserver]...
//
// etcd stores its data in the directory and listens on a socket there, so that the next run
// continues with the same data, possibly with other flags.
//
// It is not built with the race detector, which would double the build time without testing
// the library.
package main

import (
	"errors"
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
	etcd, err := startEtcd(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "controlplane: starting etcd:", err)
		os.Exit(1)
	}
	command := app.NewAPIServerCommand()
	command.SetArgs(append(os.Args[2:], "--etcd-servers="+etcd.Config().AdvertiseClientUrls[0].String()))
	code := cli.Run(command) // until SIGTERM
	etcd.Close()
	os.Exit(code)
}

// startEtcd starts an etcd with one member. It listens only on Unix sockets, so that no other
// process connects to it by accident.
func startEtcd(dir string) (*embed.Etcd, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil { //nolint:gosec // the user chooses the directory
		return nil, err
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
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err = <-etcd.Err():
	case <-time.After(time.Minute):
		err = errors.New("not ready after a minute")
	}
	etcd.Close()
	return nil, err
}
