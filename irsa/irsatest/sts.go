package irsatest

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// STS simulates the AWS Security Token Service. It implements the actions AssumeRoleWithWebIdentity,
// AssumeRole and GetCallerIdentity of the Query protocol. It is safe for concurrent use. Changed
// settings apply to calls that arrive afterward.
type STS struct {
	cluster *Cluster
	server  *server // nil in memory

	switchMu sync.Mutex // serializes Down and Up

	mu        sync.Mutex
	settings  settings
	faults    faults
	down      bool          // refuses connections
	closed    bool          // down permanently
	cut       chan struct{} // closed by Down to interrupt calls in progress
	recovered chan struct{} // closed by Recover to resume hanging calls
	calls     []*Call
	sessions  map[string]*session // keyed by access key ID
}

// settings are the STS settings that apply to every call.
type settings struct {
	skew        time.Duration
	omitDate    bool
	maxLifetime time.Duration
	latency     time.Duration
}

func newSTS(k *Cluster) *STS {
	return &STS{
		cluster:   k,
		cut:       make(chan struct{}),
		recovered: make(chan struct{}),
		sessions:  map[string]*session{},
	}
}

// Endpoint returns the URL of the STS on loopback, http://127.0.0.1:<port>, which Down and Up do not
// change. In memory, it returns "", because the SDK's own endpoints reach the kit. In that case,
// leave sts.Options.BaseEndpoint unset.
func (s *STS) Endpoint() string {
	if s.server == nil {
		return ""
	}
	return "http://" + s.server.addr
}

// SetClockSkew sets the clock of the STS ahead of the process's clock by d, or behind it if d is
// negative. The STS uses its clock for Date headers and the Expiration of credentials, and to
// validate tokens, sessions and signatures. The issuer's clock is not affected.
func (s *STS) SetClockSkew(d time.Duration) { s.set(func(o *settings) { o.skew = d }) }

// OmitDate sets whether responses omit the Date header.
func (s *STS) OmitDate(omit bool) { s.set(func(o *settings) { o.omitDate = omit }) }

// SetLifetime limits the lifetime of credentials to d, for tests that cannot wait 15 minutes, the
// shortest duration that STS accepts. Zero means no limit. If d is not a whole number of seconds,
// Expiration includes fractions of a second.
func (s *STS) SetLifetime(d time.Duration) { s.set(func(o *settings) { o.maxLifetime = d }) }

// SetLatency delays every response by d, including those of faults.
func (s *STS) SetLatency(d time.Duration) { s.set(func(o *settings) { o.latency = d }) }

// now returns the time according to the clock of the STS.
func (s *STS) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.settings.skew)
}

func (s *STS) set(change func(*settings)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.settings)
}

// Fail injects the fault into the next n calls. If n < 0, it affects all calls until [STS.Recover].
// It replaces any fault of an earlier Fail.
func (s *STS) Fail(fault Fault, n int) {
	s.cluster.checkFault(fault)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = faults{fault, n}
}

// Recover ends Down and the faults of [STS.Fail] and [Role.Fail]. Hanging calls resume and get their
// response. Recover does not change settings made by OmitDate and the Set methods.
func (s *STS) Recover() {
	s.cluster.recoverRoles()
	s.mu.Lock()
	s.faults = faults{}
	close(s.recovered)
	s.recovered = make(chan struct{})
	s.mu.Unlock()
	s.Up()
}

// Down makes the STS unreachable until Up or Recover. It interrupts calls in progress and refuses
// new connections, but the issuer remains reachable. In memory, clients get the error of net.Dial,
// with varying addresses. On loopback, the listener and all connections are closed, so a client with
// its own idle connections may first use a closed one.
func (s *STS) Down() {
	s.switchMu.Lock()
	defer s.switchMu.Unlock()
	s.mu.Lock()
	s.interrupt()
	s.mu.Unlock()
	if s.server != nil {
		s.server.stop()
		s.cluster.HTTPClient().CloseIdleConnections() // closed by the server, so the next call dials
	}
}

// Up ends Down. On loopback, the STS listens on the same address again.
func (s *STS) Up() {
	s.switchMu.Lock()
	defer s.switchMu.Unlock()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.down = false
	s.mu.Unlock()
	if s.server != nil {
		s.cluster.check(s.server.start())
	}
}

// shutdown takes the STS down permanently. It does not stop the server.
func (s *STS) shutdown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.interrupt()
}

// interrupt ends calls in progress and refuses new ones. s.mu must be held.
func (s *STS) interrupt() {
	s.down = true
	close(s.cut)
	s.cut = make(chan struct{})
}

// A pendingCall is a call in progress, with the state of the STS when it arrived.
type pendingCall struct {
	settings
	refused   bool  // the STS is down, and the connection is refused
	fault     Fault // "" if none
	cut       <-chan struct{}
	recovered <-chan struct{}
	call      *Call
}

// begin records a call and determines its fault and latency.
func (s *STS) begin(q query) pendingCall {
	c := pendingCall{call: q.newCall()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, c.call)
	if s.down {
		c.refused, c.call.Err = true, callRefused
		return c
	}
	var latency time.Duration
	if role := s.cluster.role(c.call.RoleARN); role != nil {
		c.fault, latency = role.nextFault()
	}
	c.settings, c.cut, c.recovered = s.settings, s.cut, s.recovered
	c.latency = cmp.Or(latency, c.latency)
	if c.fault == "" {
		c.fault = s.faults.next()
	}
	return c
}

// An outcome is the result of a call: the response, and the Err, Reason and Caller to record.
type outcome struct {
	*reply
	code   string // "" on success
	reason string
	caller string
}

// errConnRefused is the panic value that aborts a handler as if the connection had been refused. On
// loopback, where the connection is already open, it is closed instead.
var errConnRefused = errors.New("the STS is down")

// handle serves STS requests on both transports.
func (s *STS) handle(w http.ResponseWriter, r *http.Request) {
	q := s.cluster.readQuery(r)
	c := s.begin(q)
	if c.refused {
		panic(errConnRefused)
	}
	if !c.wait(r.Context()) {
		panic(http.ErrAbortHandler)
	}
	if c.fault == Reset {
		s.finish(c.call, outcome{code: string(Reset)})
		reset(w)
	}
	q.now = c.now()
	answer := s.answer(r.Context(), q, c)
	s.finish(c.call, answer)
	w.Header()["Date"] = c.date()
	answer.write(w)
}

// wait blocks for the latency, and for a Hang fault until Recover. It returns false if the client
// disconnects or the STS goes down in the meantime.
func (c pendingCall) wait(ctx context.Context) bool {
	if c.latency > 0 {
		timer := time.NewTimer(c.latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return false
		case <-c.cut:
			return false
		}
	}
	if c.fault != Hang {
		return true
	}
	select {
	case <-c.recovered:
		return true
	case <-ctx.Done():
		return false
	case <-c.cut:
		return false
	}
}
