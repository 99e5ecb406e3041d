package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// process is a sidecar that runs as a separate process.
type process struct {
	uri, token                   string
	credentials, health, metrics string // addresses
	command                      *exec.Cmd
	cleanup                      []func() error
}

// startSidecar builds the sidecar, starts it, and waits until it is ready.
func startSidecar(ctx context.Context) (_ *process, err error) {
	p := &process{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.stop())
		}
	}()
	k, err := irsatest.Start()
	if err != nil {
		return nil, err
	}
	p.cleanup = append(p.cleanup, func() error { k.Close(); return nil })
	folder, err := os.MkdirTemp("", "load")
	if err != nil {
		return nil, err
	}
	p.cleanup = append(p.cleanup, func() error { return os.RemoveAll(folder) })
	k.STS.SetLifetime(15 * time.Second) // so that the sidecar refreshes continuously
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	if err := p.start(ctx, folder, pod.Environ()); err != nil {
		return nil, err
	}
	token, err := os.ReadFile(filepath.Join(folder, "token")) // #nosec G304 -- the path is made by this program
	p.token = strings.TrimSpace(string(token))
	return p, err
}

func (p *process) start(ctx context.Context, folder string, environment []string) error {
	binary := filepath.Join(folder, "sidecar")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/irsakit/irsakit/examples/sidecar") // #nosec G204
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("run it in the folder of the sidecar's module: %w", err)
	}
	for _, address := range []*string{&p.credentials, &p.health, &p.metrics} {
		free, err := freeAddress()
		if err != nil {
			return err
		}
		*address = free
	}
	p.uri = "http://" + p.credentials + "/credentials"
	p.command = exec.CommandContext(ctx, binary, "-listen", p.credentials, "-health", p.health, "-metrics", p.metrics,
		"-token-file", filepath.Join(folder, "token")) // #nosec G204
	p.command.Env, p.command.Stderr = append(os.Environ(), environment...), os.Stderr
	if err := p.command.Start(); err != nil {
		return err
	}
	for range 100 {
		if get(ctx, http.DefaultClient, "http://"+p.health+"/readyz", "") == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("the sidecar is not ready after 5s")
}

// stop ends the process, and removes what belongs to it.
func (p *process) stop() error {
	var err error
	if p.command != nil && p.command.Process != nil {
		err = errors.Join(p.command.Process.Signal(syscall.SIGTERM), p.command.Wait())
	}
	for _, clean := range p.cleanup {
		err = errors.Join(err, clean())
	}
	return err
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
