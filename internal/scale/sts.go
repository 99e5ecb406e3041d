package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// childVariable makes the program the STS: in a process of its own, so that its memory
// and its time are not measured.
const childVariable = "SCALE_STS"

// setup is what the child is told, and what it says.
type setup struct {
	Roles         int
	Life, Latency time.Duration

	Endpoint  string
	TokenFile string
	ARNs      []string
}

// serve is the child: it answers until its input ends.
func serve(in io.Reader, out io.Writer) error {
	var s setup
	input := json.NewDecoder(in)
	if err := input.Decode(&s); err != nil {
		return err
	}
	k, err := irsatest.Start()
	if err != nil {
		return err
	}
	defer k.Close()
	k.Issuer.SetAlgorithm(irsatest.ES256)
	k.STS.SetLife(s.Life)
	k.STS.SetLatency(s.Latency)
	sa := k.ServiceAccount("platform", "controller")
	for i := range s.Roles {
		s.ARNs = append(s.ARNs, k.Role(fmt.Sprintf("tenant-%05d", i), irsatest.Trust(sa)).ARN())
	}
	s.Endpoint, s.TokenFile = k.STS.Endpoint(), k.Pod(sa, k.Role("platform")).TokenFile()
	if err := json.NewEncoder(out).Encode(s); err != nil {
		return err
	}
	for { // forgets what it recorded, which is none of its business here
		var nothing struct{}
		if err := input.Decode(&nothing); err != nil {
			return nil // the parent has gone
		}
		k.STS.ForgetCalls()
	}
}

// server is the child as the parent sees it.
type server struct {
	setup
	child *exec.Cmd
	input io.WriteCloser
}

func startSTS(ctx context.Context, p plan) (*server, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	child := exec.CommandContext(ctx, program) //nolint:gosec // which is this one
	child.Env = append(os.Environ(), childVariable+"=1")
	child.Stderr = os.Stderr
	input, err := child.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := child.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := child.Start(); err != nil {
		return nil, err
	}
	s := &server{child: child, input: input}
	err = json.NewEncoder(input).Encode(setup{Roles: p.roles, Life: p.life, Latency: p.latency})
	if err == nil {
		err = json.NewDecoder(bufio.NewReader(output)).Decode(&s.setup)
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) stop() {
	_ = s.input.Close()
	_ = s.child.Wait() // it was told to end
}
