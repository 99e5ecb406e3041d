package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/rpc"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// childVariable is the environment variable that makes the program serve RPCs: an STS, whose memory
// and time are not measured, or a holder of roles.
const childVariable = "BENCH_CHILD"

// Clusters is the RPC service through which the parent process controls irsatest clusters.
type Clusters struct {
	mu  sync.Mutex
	all []*cluster
}

type cluster struct {
	*irsatest.Cluster
	sa    *irsatest.ServiceAccount
	pod   *irsatest.Pod
	front *httptest.Server // nil without TLS
}

// Setup configures a new cluster.
type Setup struct {
	Lifetime, Latency time.Duration
	Exact             bool // the lifetime is not truncated to whole seconds, as AWS truncates it
	Roles             int  // the number of additional roles
	TLS               bool // STS uses TLS
	Idle              bool // the STS process runs only while no other process is ready
}

// Place describes a cluster to its clients.
type Place struct {
	ID                  int
	Lifetime            time.Duration
	Endpoint, TokenFile string
	RoleARN             string
	RoleARNs            []string // the roles of Setup.Roles
	Certificate         []byte   // with Setup.TLS
}

// environ returns the variables that the webhook injects into pods, and the endpoint.
func (p Place) environ() []string {
	return []string{
		"AWS_ROLE_ARN=" + p.RoleARN, "AWS_WEB_IDENTITY_TOKEN_FILE=" + p.TokenFile,
		"AWS_REGION=" + region, "AWS_ENDPOINT_URL_STS=" + p.Endpoint,
	}
}

// Start starts a cluster.
func (c *Clusters) Start(setup Setup, place *Place) error {
	if setup.Idle {
		if err := afterOthers(); err != nil {
			return err
		}
	}
	k, err := irsatest.Start()
	if err != nil {
		return err
	}
	k.Issuer.SetAlgorithm("ES256")
	if k.STS.SetLifetime(setup.Lifetime); setup.Exact {
		k.STS.SetLifetime(setup.Lifetime + time.Millisecond) // not a whole number of seconds
	}
	k.STS.SetLatency(setup.Latency)
	sa := k.ServiceAccount("shop", "cart")
	role := k.Role("s3-writer", irsatest.Trust(sa))
	started := &cluster{Cluster: k, sa: sa, pod: k.Pod(sa, role)}
	c.mu.Lock()
	defer c.mu.Unlock()
	*place = Place{ID: len(c.all), Lifetime: setup.Lifetime, Endpoint: k.STS.Endpoint(), TokenFile: started.pod.TokenFile(), RoleARN: role.ARN()}
	c.all = append(c.all, started)
	for i := range setup.Roles {
		place.RoleARNs = append(place.RoleARNs, k.Role(fmt.Sprintf("tenant-%05d", i), irsatest.Trust(sa)).ARN())
	}
	if setup.TLS {
		started.front = startTLSProxy(strings.TrimPrefix(place.Endpoint, "http://"))
		place.Endpoint, place.Certificate = started.front.URL, started.front.Certificate().Raw
	}
	return nil
}

// startTLSProxy starts a TLS proxy for an STS without TLS.
func startTLSProxy(host string) *httptest.Server {
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: host}) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 10_000},
	})
	front.Config.ErrorLog = log.New(io.Discard, "", 0) // drops messages about closed connections
	front.StartTLS()
	return front
}

// trust makes the transport trust the certificate of the place.
func (p Place) trust(transport *http.Transport) error {
	certificate, err := x509.ParseCertificate(p.Certificate)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return nil
}

// A Command changes a cluster.
type Command struct {
	Cluster int
	Name    string
	Fault   irsatest.Fault // of breakSTS and repairSTS: "" means that connections are refused
	Partial time.Duration  // of rotate: the file is written in place, and is truncated or empty for this time
	Empty   bool           // of rotate: the file is empty rather than truncated
}

// The names of commands.
const (
	stop      = "stop"
	breakSTS  = "break"   // begins an outage
	repairSTS = "repair"  // ends an outage, except for calls that hang
	release   = "release" // lets calls that hang continue
	expire    = "expire"  // writes an expired token
	rotate    = "rotate"  // writes a new token
)

// Do executes a command.
func (c *Clusters) Do(command Command, _ *struct{}) error {
	c.mu.Lock()
	k := c.all[command.Cluster]
	c.mu.Unlock()
	refused := command.Fault == ""
	switch {
	case command.Name == stop:
		if k.front != nil {
			k.front.Close()
		}
		return k.Close()
	case command.Name == breakSTS && refused:
		k.STS.Down()
	case command.Name == breakSTS:
		k.STS.Fail(command.Fault, -1)
	case command.Name == repairSTS && refused:
		k.STS.Up()
	case command.Name == repairSTS:
		k.STS.Fail(command.Fault, 0)
	case command.Name == release:
		k.STS.Recover()
	case command.Name == expire:
		k.pod.Rotate(irsatest.Invalid("expired"))
	case command.Name == rotate && command.Partial == 0:
		k.pod.Rotate()
	case command.Name == rotate:
		token := []byte(k.sa.Token())
		if command.Empty {
			k.pod.WriteInPlace(nil)
		} else {
			k.pod.WriteInPlace(token[:len(token)-len(token)/10])
		}
		time.Sleep(command.Partial)
		k.pod.WriteInPlace(token)
	default:
		return fmt.Errorf("unknown command %q", command.Name)
	}
	return nil
}

func (c *Clusters) each(do func(*cluster)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.all {
		do(k)
	}
}

// serve is the main function of the child process. It serves commands until its input ends.
func serve(in io.ReadCloser, out io.Writer) error {
	signal.Ignore(os.Interrupt) // an interrupt ends the parent and thereby the input
	clusters := &Clusters{}
	server := rpc.NewServer()
	if err := server.Register(clusters); err != nil {
		return err
	}
	go func() { // until the process exits
		for range time.Tick(time.Second) {
			clusters.each(func(k *cluster) { k.STS.ForgetCalls() }) // no measure uses them
		}
	}()
	server.ServeConn(struct {
		io.ReadCloser
		io.Writer
	}{in, out})
	clusters.each(func(k *cluster) { _ = k.Close() }) // most likely closed already
	return nil
}

// A child is a child process of bench, for use in the parent.
type child struct {
	command *exec.Cmd
	*rpc.Client
}

// startChild starts a child process. It is killed when ctx is done.
func startChild(ctx context.Context) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, program) // #nosec G204 -- this program itself
	command.Env, command.Stderr = append(os.Environ(), childVariable+"=1"), os.Stderr
	input, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &child{command, rpc.NewClient(struct {
		io.Reader
		io.WriteCloser
	}{output, input})}, command.Start()
}

func (c *child) do(command Command) error { return c.Call("Clusters.Do", command, &struct{}{}) }

// stop closes the input of the process and waits for its exit.
func (c *child) stop() error {
	_ = c.Close()
	return c.command.Wait()
}
