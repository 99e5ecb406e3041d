package main

import (
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/irsakit/irsakit/internal/test/bench/start/ready"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// childVariable is the environment variable of a child process. Such a process reads a task from its
// standard input and writes its reply to its standard output, in JSON.
const childVariable = "BENCH_CHILD"

// A task is the work of a child process, whose memory and time are measured separately from those of
// others: it holds roles, or it is an STS.
type task struct {
	STS    setup
	Holder string // in holders, or "" for an STS
	Place  place
	Run    time.Duration // at least
}

type setup struct {
	Lifetime, Latency time.Duration
	Roles             int  // the number of additional roles
	TLS               bool // STS uses TLS
}

// place describes a cluster to its clients.
type place struct {
	Lifetime            time.Duration
	Endpoint, TokenFile string
	RoleARN             string
	RoleARNs            []string      // the roles of setup.Roles, each of which trusts the one before it
	Duration            time.Duration // to request; 0 means the contender's default
	Certificate         []byte        // with setup.TLS
}

// environ returns the variables that the webhook injects into pods, and the endpoint.
func (p place) environ() []string {
	return []string{
		"AWS_ROLE_ARN=" + p.RoleARN, "AWS_WEB_IDENTITY_TOKEN_FILE=" + p.TokenFile,
		"AWS_REGION=" + region, "AWS_ENDPOINT_URL_STS=" + p.Endpoint,
	}
}

// startSTS starts an STS, which runs until the end of the test.
func startSTS(t *testing.T, s setup) (p place) {
	startChild(t, task{STS: s}, &p)
	return p
}

// startChild starts a child process, which ends with the test, and waits for its reply.
func startChild(t *testing.T, work task, reply any) {
	program, err := os.Executable()
	must(t, err)
	command := exec.Command(program) // #nosec G204 -- this program itself
	command.Env, command.Stderr = append(os.Environ(), childVariable+"=1"), os.Stderr
	input, err1 := command.StdinPipe()
	output, err2 := command.StdoutPipe()
	must(t, errors.Join(err1, err2, command.Start()))
	t.Cleanup(func() { must(t, errors.Join(input.Close(), command.Wait())) })
	must(t, errors.Join(json.NewEncoder(input).Encode(work), json.NewDecoder(output).Decode(reply)))
}

// result returns a value, or ends the child process if there is an error.
func result[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// work is the main function of a child process. It returns when the input ends.
func work() error {
	var t task
	if err := json.NewDecoder(os.Stdin).Decode(&t); err != nil {
		return err
	}
	output := json.NewEncoder(os.Stdout)
	if t.Holder != "" {
		return output.Encode(t.hold())
	}
	if err := schedule(unix.SCHED_IDLE, 0); err != nil { // so that the STS delays no caller
		return err
	}
	k := result(irsatest.Start())
	defer k.Close()
	if err := output.Encode(t.STS.start(k)); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func (s setup) start(k *irsatest.Cluster) place {
	k.Issuer.SetAlgorithm("ES256")
	k.STS.SetLifetime(s.Lifetime + time.Millisecond) // the Expiration is not truncated to whole seconds
	k.STS.SetLatency(s.Latency)
	sa := k.ServiceAccount("shop", "cart")
	role := k.Role("s3-writer", irsatest.Trust(sa))
	p := place{Lifetime: s.Lifetime, Endpoint: k.STS.Endpoint(), TokenFile: k.Pod(sa, role).TokenFile(), RoleARN: role.ARN()}
	previous := role
	for i := range s.Roles {
		previous = k.Role(fmt.Sprintf("tenant-%05d", i), irsatest.Trust(sa, role, previous))
		p.RoleARNs = append(p.RoleARNs, previous.ARN())
	}
	if s.TLS {
		front := startTLSProxy(strings.TrimPrefix(p.Endpoint, "http://"))
		p.Endpoint, p.Certificate = front.URL, front.Certificate().Raw
	}
	return p
}

// schedule sets the scheduling policy of all threads of this process. New threads inherit it. It does
// nothing in a test, which must neither wait for other processes nor delay them.
func schedule(policy, priority uint32) error {
	if testing.Testing() {
		return nil
	}
	threads, err := os.ReadDir("/proc/self/task")
	for _, thread := range threads {
		id, err1 := strconv.Atoi(thread.Name())
		err2 := unix.SchedSetAttr(id, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy, Priority: priority}, 0)
		err = errors.Join(err, err1, err2)
	}
	return err
}

// startTLSProxy starts a TLS proxy for an STS without TLS. It ends with the process.
func startTLSProxy(host string) *httptest.Server {
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: host}) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 10_000},
	})
	front.Config.ErrorLog = log.New(io.Discard, "", 0) // drops messages about closed connections
	front.StartTLS()
	return front
}

const (
	binarySize = "binary"
	atOnce     = "STS answers at once"
	after50    = "STS answers after 50 ms"
	program    = "program"
	bare       = "SDK, bare"
	allocated  = "allocated"
	resident   = "resident"
)

// programs contains the smallest programs that get credentials. The bare one uses the SDK's provider
// without its config package.
var programs = []struct{ contender, directory string }{{ours, "irsakit"}, {bare, "bare"}, {sdk, "sdk"}}

// startPlan configures the measure of the time from the start of a program to its first credentials.
type startPlan struct {
	Times   int // how often each program starts
	Latency time.Duration
}

func (p startPlan) run(t *testing.T, s *sheet) {
	directory := t.TempDir()
	for _, p := range programs {
		buildProgram(t, s, p.contender, filepath.Join(directory, p.directory))
	}
	for _, scene := range []struct {
		name    string
		latency time.Duration
	}{{atOnce, 0}, {after50, p.Latency}} {
		at := startSTS(t, setup{Lifetime: time.Hour, Latency: scene.latency})
		var starts sheet
		for i := range p.Times * len(programs) {
			p := programs[i%len(programs)]
			startOne(t, &starts, scene.name, p.contender, filepath.Join(directory, p.directory), at)
		}
		s.addMedians(&starts)
	}
}

func buildProgram(t *testing.T, s *sheet, contender, path string) {
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./start/"+filepath.Base(path)) // #nosec G204 -- a package of this module
	build.Stderr = os.Stderr
	must(t, build.Run())
	file, err1 := os.Stat(path)
	info, err2 := buildinfo.ReadFile(path)
	must(t, errors.Join(err1, err2))
	s.add(program, contender, binarySize, memory, float64(file.Size()))
	s.addCount(program, contender, "modules", len(info.Deps))
}

// startOne starts a program and measures the time until it prints its result.
func startOne(t *testing.T, s *sheet, scene, contender, path string, at place) {
	command := exec.Command(path) // #nosec G204 -- a program that buildProgram has built
	command.Env, command.Stderr = append(os.Environ(), at.environ()...), os.Stderr
	output, err := command.StdoutPipe()
	must(t, err)
	begin := time.Now()
	must(t, command.Start())
	var used ready.Memory
	err = json.NewDecoder(output).Decode(&used)
	took := time.Since(begin)
	must(t, errors.Join(err, command.Wait()))
	s.addTime(scene, contender, goodKeys, took)
	s.addCount(scene, contender, allocations, int(used.Mallocs)) // #nosec G115 -- a few thousand
	s.add(scene, contender, allocated, memory, float64(used.Bytes))
	s.add(scene, contender, resident, memory, float64(used.Resident))
}
