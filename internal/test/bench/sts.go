package main

import (
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"net/rpc"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// stsVariable is the environment variable that makes the program serve STS. STS has a separate
// process, so that its memory and time are not measured.
const stsVariable = "BENCH_STS"

// Clusters is the RPC service through which the parent process controls irsatest clusters.
type Clusters struct {
	mu  sync.Mutex
	all []*cluster
}

type cluster struct {
	*irsatest.Cluster
	sa       *irsatest.ServiceAccount
	pod      *irsatest.Pod
	front    *httptest.Server // nil without TLS
	rotating chan struct{}    // closed to stop rotating
	done     sync.WaitGroup
	rotated  atomic.Int64
}

// Setup configures a new cluster.
type Setup struct {
	Life, Latency time.Duration
	Exact         bool // the lifetime is not truncated to whole seconds, as AWS truncates it
	Roles         int  // the number of additional roles
	TLS           bool // STS uses TLS
}

// Place describes a cluster to its clients.
type Place struct {
	ID                  int
	Life                time.Duration
	Endpoint, TokenFile string
	RoleARN             string
	RoleARNs            []string // the roles of Setup.Roles
	Certificate         []byte   // with Setup.TLS
}

// Start starts a cluster.
func (c *Clusters) Start(setup Setup, place *Place) error {
	k, err := irsatest.Start()
	if err != nil {
		return err
	}
	k.Issuer.SetAlgorithm("ES256")
	if k.STS.SetLifetime(setup.Life); setup.Exact {
		k.STS.SetLifetime(setup.Life + time.Millisecond) // not a whole number of seconds
	}
	k.STS.SetLatency(setup.Latency)
	sa := k.ServiceAccount("shop", "cart")
	role := k.Role("s3-writer", irsatest.Trust(sa))
	made := &cluster{Cluster: k, sa: sa, pod: k.Pod(sa, role)}
	c.mu.Lock()
	defer c.mu.Unlock()
	*place = Place{ID: len(c.all), Life: setup.Life, Endpoint: k.STS.Endpoint(), TokenFile: made.pod.TokenFile(), RoleARN: role.ARN()}
	for i := range setup.Roles {
		place.RoleARNs = append(place.RoleARNs, k.Role(fmt.Sprintf("tenant-%05d", i), irsatest.Trust(sa)).ARN())
	}
	if setup.TLS {
		if made.front, err = secure(place.Endpoint); err != nil {
			return errors.Join(err, k.Close())
		}
		place.Endpoint, place.Certificate = made.front.URL, made.front.Certificate().Raw
	}
	c.all = append(c.all, made)
	return nil
}

// on calls do with the cluster.
func (c *Clusters) on(id int, do func(*cluster)) error {
	k, err := c.get(id)
	if err == nil {
		do(k)
	}
	return err
}

func (c *Clusters) get(id int) (*cluster, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id >= len(c.all) {
		return nil, fmt.Errorf("there is no cluster %d", id)
	}
	return c.all[id], nil
}

// Stop stops a cluster.
func (c *Clusters) Stop(id int, _ *struct{}) error {
	k, err := c.get(id)
	if err != nil {
		return err
	}
	return k.stop()
}

func (k *cluster) stop() error {
	k.stopRotating()
	if k.front != nil {
		k.front.Close()
	}
	return k.Close()
}

// Outage describes an outage of STS.
type Outage struct {
	ID    int
	Fault irsatest.Fault // "" means that connections are refused
}

// Break begins an outage.
func (c *Clusters) Break(o Outage, _ *struct{}) error {
	return c.on(o.ID, func(k *cluster) {
		if o.Fault == "" {
			k.STS.Down()
		} else {
			k.STS.Fail(o.Fault, -1)
		}
	})
}

// Mend ends an outage, except for calls that hang.
func (c *Clusters) Mend(o Outage, _ *struct{}) error {
	return c.on(o.ID, func(k *cluster) {
		if o.Fault == "" {
			k.STS.Up()
		} else {
			k.STS.Fail(o.Fault, 0)
		}
	})
}

// Release lets calls that hang continue.
func (c *Clusters) Release(id int, _ *struct{}) error {
	return c.on(id, func(k *cluster) { k.STS.Recover() })
}

// Expire writes an expired token to the file.
func (c *Clusters) Expire(id int, _ *struct{}) error {
	return c.on(id, func(k *cluster) { k.pod.Rotate(irsatest.Invalid("expired")) })
}

// Rotate writes a new token to the file.
func (c *Clusters) Rotate(id int, _ *struct{}) error {
	return c.on(id, func(k *cluster) { k.pod.Rotate() })
}

// Rotation configures the repeated rotation of a token.
type Rotation struct {
	ID    int
	Every time.Duration
	Torn  time.Duration // if not 0, the file is written in place, and is half-written or empty for this time
}

// KeepRotating rotates the token until Stop is called.
func (c *Clusters) KeepRotating(r Rotation, _ *struct{}) error {
	return c.on(r.ID, func(k *cluster) {
		k.rotating = make(chan struct{})
		k.done.Go(func() { k.keepRotating(r) })
	})
}

func (k *cluster) keepRotating(r Rotation) {
	tick := time.NewTicker(r.Every)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
			k.rotate(r.Torn, i%2 == 0)
			k.rotated.Add(1)
		case <-k.rotating:
			return
		}
	}
}

// Rotations returns the number of rotations so far.
func (c *Clusters) Rotations(id int, n *int) error {
	return c.on(id, func(k *cluster) { *n = int(k.rotated.Load()) })
}

func (k *cluster) rotate(torn time.Duration, half bool) {
	if torn == 0 {
		k.pod.Rotate()
		return
	}
	token := []byte(k.sa.Token())
	if half {
		k.pod.WriteInPlace(token[:len(token)-len(token)/10])
	} else {
		k.pod.WriteInPlace(nil)
	}
	time.Sleep(torn)
	k.pod.WriteInPlace(token)
}

func (k *cluster) stopRotating() {
	if k.rotating != nil {
		close(k.rotating)
		k.done.Wait()
	}
}

// forget deletes the recorded calls of the clusters. No measure uses them.
func (c *Clusters) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.all {
		k.STS.ForgetCalls()
	}
}

// StepBack makes the STS process run only while no other process is ready.
func (c *Clusters) StepBack(struct{}, *struct{}) error { return afterOthers() }

// serveSTS is the main function of the child process. It serves commands until its input ends.
func serveSTS(in io.Reader, out io.Writer) error {
	signal.Ignore(os.Interrupt) // an interrupt ends the parent and thereby the input
	clusters := &Clusters{}
	server := rpc.NewServer()
	if err := server.Register(clusters); err != nil {
		return err
	}
	ended := make(chan struct{})
	var forgetting sync.WaitGroup
	forgetting.Go(func() {
		for tick := time.Tick(time.Second); ; {
			select {
			case <-tick:
				clusters.forget()
			case <-ended:
				return
			}
		}
	})
	server.ServeConn(pipe{in, out})
	close(ended)
	forgetting.Wait()
	for _, k := range clusters.all {
		_ = k.Close() // most likely closed already
	}
	return nil
}

// pipe is a connection of a reader and a writer. They are closed when their process ends.
type pipe struct {
	io.Reader
	io.Writer
}

// Close does nothing.
func (pipe) Close() error { return nil }

// stsProcess is the child process, for use in the parent.
type stsProcess struct {
	child *exec.Cmd
	input io.Closer
	*rpc.Client
}

func startSTS() (*stsProcess, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	child := exec.Command(program) // #nosec G204 -- this program itself
	child.Env = append(os.Environ(), stsVariable+"=1")
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
	return &stsProcess{child, input, rpc.NewClient(pipe{output, input})}, nil
}

// place starts a cluster. The function release stops it.
func (s *stsProcess) place(setup Setup) (place Place, release func() error, err error) {
	err = s.Call("Clusters.Start", setup, &place)
	return place, func() error { return s.command("Stop", place.ID) }, err
}

func (s *stsProcess) command(name string, argument any) error {
	return s.Call("Clusters."+name, argument, &struct{}{})
}

func (s *stsProcess) stop() error {
	return errors.Join(s.input.Close(), s.child.Wait(), s.Close())
}
