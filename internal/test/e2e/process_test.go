package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// A process is a server that the tests have started.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has exited
}

// startServer starts a program, appends its output to the log, and polls ready until it returns nil,
// the program has exited, or two minutes have passed. The program is killed when the tests end, even
// if they are killed.
func startServer(cmd *exec.Cmd, log string, ready func(context.Context) error) (*process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() { // ends when the program exits; stop and kill wait for that
		defer close(p.done)
		_ = cmd.Wait()
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for {
		if err = ready(ctx); err == nil {
			return p, nil
		}
		select {
		case <-p.done:
			return nil, fmt.Errorf("%s has exited: see its log", filepath.Base(cmd.Path))
		case <-ctx.Done():
			p.stop()
			return nil, fmt.Errorf("%s is not ready: %w", filepath.Base(cmd.Path), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop terminates the program. It kills the program if it does not exit within 30 seconds. A nil
// process has stopped.
func (p *process) stop() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		p.kill()
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// freePort returns a free port below the ephemeral ports, so that a server can be restarted
// on it.
func freePort() (int, error) {
	for range 100 {
		port := 15000 + rand.IntN(17000)
		listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("no free port")
}

// tail returns the last lines of a log.
func tail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}
