package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// process is a sidecar that runs as a separate process.
type process struct {
	uri, token                   string
	credentials, health, metrics string // addresses
	command                      *exec.Cmd
	log                          *bufio.Reader
	copied                       sync.WaitGroup // waits for the goroutine that copies the log
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
	directory, err := os.MkdirTemp("", "load")
	if err != nil {
		return nil, err
	}
	p.cleanup = append(p.cleanup, func() error { return os.RemoveAll(directory) })
	k.STS.SetLifetime(15 * time.Second) // so that the sidecar refreshes continuously
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	if err := p.start(ctx, directory, pod.Environ()); err != nil {
		return nil, err
	}
	token, err := os.ReadFile(filepath.Join(directory, "token")) // #nosec G304 -- the path is made by this program
	if err != nil {
		return nil, err
	}
	p.token = strings.TrimSpace(string(token))
	return p, get(ctx, http.DefaultClient, p.uri, p.token) // waits for the credentials
}

func (p *process) start(ctx context.Context, directory string, environment []string) error {
	binary := filepath.Join(directory, "sidecar")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/irsakit/irsakit/examples/sidecar") // #nosec G204
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("run it in the directory of the sidecar's module: %w", err)
	}
	const free = "127.0.0.1:0"
	p.command = exec.CommandContext(ctx, binary, "-listen", free, "-health", free, "-metrics", free,
		"-token-file", filepath.Join(directory, "token")) // #nosec G204
	p.command.Env = append(os.Environ(), environment...)
	stderr, err := p.command.StderrPipe()
	if err != nil {
		return err
	}
	if err := p.command.Start(); err != nil {
		return err
	}
	p.log = bufio.NewReader(stderr)
	if err := p.readAddresses(); err != nil {
		return err
	}
	p.copied.Go(func() { _, _ = io.Copy(os.Stderr, p.log) })
	return nil
}

var serving = regexp.MustCompile(`uri=(http://([^/]+)/\S+) .*health=(\S+) metrics=(\S+)`)

// readAddresses reads the log until it has found the sidecar's addresses.
func (p *process) readAddresses() error {
	for {
		line, err := p.log.ReadString('\n')
		fmt.Fprint(os.Stderr, line)
		if err != nil {
			return fmt.Errorf("the sidecar did not start: %w", err)
		}
		if match := serving.FindStringSubmatch(line); match != nil {
			p.uri, p.credentials, p.health, p.metrics = match[1], match[2], match[3], match[4]
			return nil
		}
	}
}

// stop ends the process and removes its files.
func (p *process) stop() error {
	var err error
	if p.command != nil && p.command.Process != nil {
		err = p.command.Process.Signal(syscall.SIGTERM)
		p.copied.Wait() // until the process has ended
		err = errors.Join(err, p.command.Wait())
	}
	for _, clean := range p.cleanup {
		err = errors.Join(err, clean())
	}
	return err
}

// cpu returns the CPU time used by the process, which must have ended.
func (p *process) cpu() time.Duration {
	state := p.command.ProcessState
	return state.UserTime() + state.SystemTime()
}
