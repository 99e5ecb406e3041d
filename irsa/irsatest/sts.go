package irsatest

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// STS is the Security Token Service. It answers AssumeRoleWithWebIdentity, AssumeRole
// and GetCallerIdentity in the Query protocol. It is safe for concurrent use; a
// setting applies to the calls that arrive after it.
type STS struct {
	cluster *Cluster
	server  *server // nil in memory

	switchMu sync.Mutex // one Down or Up at a time

	mu        sync.Mutex
	settings  settings
	faults    faults
	down      bool          // refuses connections
	closed    bool          // down for good
	cut       chan struct{} // closed by Down: ends the calls under way
	recovered chan struct{} // closed by Recover: lets the hanging calls go on
	calls     []*Call
	sessions  map[string]*session // by access key ID
}

// settings are what the STS does to every call.
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

// Endpoint returns http://127.0.0.1:<port> on loopback, which does not change
// with Down and Up, and "" in memory, where the SDK's own endpoints lead to the
// kit: sts.Options.BaseEndpoint is set only if this is not empty.
func (s *STS) Endpoint() string {
	if s.server == nil {
		return ""
	}
	return "http://" + s.server.addr
}

// SetClockSkew puts the STS's clock d ahead of this process's, or behind it if d
// is negative. Its Date headers, the credentials' Expiration and the check of
// the token's expiry go by it. The issuer's clock does not change.
func (s *STS) SetClockSkew(d time.Duration) { s.set(func(o *settings) { o.skew = d }) }

// OmitDate leaves the Date header out of the replies, or puts it back.
func (s *STS) OmitDate(omit bool) { s.set(func(o *settings) { o.omitDate = omit }) }

// SetLife lets credentials live d instead of as long as was asked for, where d
// is shorter: for tests that will not wait 15 minutes, the least STS grants. If
// d is not a whole number of seconds, Expiration carries fractions of one. Zero
// is as asked for.
func (s *STS) SetLife(d time.Duration) { s.set(func(o *settings) { o.maxLifetime = d }) }

// SetLatency lets every reply wait for d, whether it is an answer or a fault.
func (s *STS) SetLatency(d time.Duration) { s.set(func(o *settings) { o.latency = d }) }

func (s *STS) set(change func(*settings)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.settings)
}

// Fail lets the next n calls meet the fault; n < 0 is all of them until
// [STS.Recover]. It replaces the fault of an earlier Fail.
func (s *STS) Fail(fault Fault, n int) {
	s.cluster.checkFault(fault)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = faults{fault, n}
}

// Recover ends every fault: those of Fail, also of the roles, calls that hang, which
// are now answered, and Down. What the Set methods and OmitDate changed stays.
func (s *STS) Recover() {
	s.cluster.recoverRoles()
	s.mu.Lock()
	s.faults = faults{}
	close(s.recovered)
	s.recovered = make(chan struct{})
	s.mu.Unlock()
	s.Up()
}

// Down takes the STS away: calls under way are cut off and connections are
// refused. The issuer stays. In memory the error is as net.Dial's; on loopback
// the listener and its connections are closed, so that a client with idle
// connections of its own may meet a broken one first.
func (s *STS) Down() {
	s.switchMu.Lock()
	defer s.switchMu.Unlock()
	s.mu.Lock()
	s.interrupt()
	s.mu.Unlock()
	if s.server != nil {
		s.server.stop()
		s.cluster.HTTPClient().CloseIdleConnections() // they are dead: the next call dials
	}
}

// Up ends Down; on loopback it listens on the same address again.
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

// shutdown is Down without an Up. The server is ended by who made it.
func (s *STS) shutdown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.interrupt()
}

// interrupt cuts the calls under way and refuses new ones; s.mu is held.
func (s *STS) interrupt() {
	s.down = true
	close(s.cut)
	s.cut = make(chan struct{})
}

// A pendingCall is one call under way, with the state of the STS as it arrived.
type pendingCall struct {
	settings
	refused   bool  // the STS is down: there is no connection
	fault     Fault // "" for none
	cut       <-chan struct{}
	recovered <-chan struct{}
	call      *Call
}

// begin records a call and decides what is to become of it.
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

// An outcome is what becomes of a call: a reply, and what the record of the call says.
type outcome struct {
	*reply
	code   string // "" is success
	reason string
	caller string
}

// errConnRefused ends a handler in memory as if there were no connection. On loopback,
// where one was open, it breaks off.
var errConnRefused = errors.New("the STS is down")

// handle serves the STS on both transports.
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
	answer := s.answer(r.Context(), q, c)
	s.finish(c.call, answer)
	w.Header()["Date"] = c.date()
	answer.write(w)
}

// wait is the latency, and the Hang. It reports whether the call goes on.
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
