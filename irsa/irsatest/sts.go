package irsatest

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// STS is the Security Token Service of the Cluster's account. It answers
// AssumeRoleWithWebIdentity in the Query protocol. It is safe for concurrent
// use; a setting applies to the calls that arrive after it.
type STS struct {
	cluster *Cluster
	server  *server // nil in memory

	mu        sync.Mutex
	settings  settings
	fault     Fault
	faulty    int           // calls that are still to fail, < 0: until Recover
	down      bool          // refuses connections
	closed    bool          // down for good
	cut       chan struct{} // closed by Down: ends the calls under way
	recovered chan struct{} // closed by Recover: lets the hanging calls go on
	calls     []*Call
	providers map[string]*provider // by issuer
}

// settings are what the STS does to every call.
type settings struct {
	skew     time.Duration
	omitDate bool
	life     time.Duration
	latency  time.Duration
}

func newSTS(k *Cluster) *STS {
	return &STS{
		cluster:   k,
		cut:       make(chan struct{}),
		recovered: make(chan struct{}),
		providers: map[string]*provider{},
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
func (s *STS) SetLife(d time.Duration) { s.set(func(o *settings) { o.life = d }) }

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
	if !fault.valid() {
		s.cluster.check(fmt.Errorf("%q is not a Fault of this package", string(fault)))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.faulty = fault, n
}

// Recover ends every fault: that of Fail, calls that hang, which are now
// answered, and Down. What the Set methods and OmitDate changed stays.
func (s *STS) Recover() {
	s.mu.Lock()
	s.faulty = 0
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

// end is Down without an Up. The server is ended by who made it.
func (s *STS) end() {
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

// A visit is one call under way, with the state of the STS as it arrived.
type visit struct {
	settings
	fault     Fault // "" for none
	cut       <-chan struct{}
	recovered <-chan struct{}
	call      *Call
}

// arrive records a call and decides what is to become of it.
func (s *STS) arrive(q query) visit {
	call := q.call()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
	v := visit{settings: s.settings, cut: s.cut, recovered: s.recovered, call: call}
	if s.faulty != 0 {
		v.fault = s.fault
		if s.faulty > 0 {
			s.faulty--
		}
	}
	return v
}

// handle serves the STS on both transports.
func (s *STS) handle(w http.ResponseWriter, r *http.Request) {
	q := readQuery(w, r)
	v := s.arrive(q)
	if !v.wait(r.Context()) {
		panic(http.ErrAbortHandler)
	}
	if v.fault == Reset {
		s.finish(v.call, string(Reset))
		reset(w)
	}
	answer, code := s.answer(r.Context(), q, v)
	s.finish(v.call, code)
	w.Header()["Date"] = v.date()
	answer.write(w)
}

// wait is the latency, and the Hang. It reports whether the call goes on.
func (v visit) wait(ctx context.Context) bool {
	if v.latency > 0 {
		timer := time.NewTimer(v.latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return false
		case <-v.cut:
			return false
		}
	}
	if v.fault != Hang {
		return true
	}
	select {
	case <-v.recovered:
		return true
	case <-ctx.Done():
		return false
	case <-v.cut:
		return false
	}
}

// now is the STS's clock.
func (v visit) now() time.Time { return time.Now().Add(v.skew) }

// date is the Date header; nil keeps net/http from adding its own.
func (v visit) date() []string {
	if v.omitDate {
		return nil
	}
	return []string{v.now().UTC().Format(http.TimeFormat)}
}

// answer makes the reply, and the code to record for it: "" is success.
func (s *STS) answer(ctx context.Context, q query, v visit) (*reply, string) {
	if r := v.fault.refusal(); r != nil {
		return r.reply(), r.code
	}
	switch v.fault {
	case EmptyReply:
		return &reply{status: http.StatusOK}, string(v.fault)
	case HTMLReply:
		out := newReply([]byte("<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Sign in to the network.<br></body></html>\n"))
		out.mediaType = "text/html; charset=utf-8"
		return out, string(v.fault)
	case HugeReply:
		out := newReply([]byte("<AssumeRoleWithWebIdentityResponse xmlns=\"" + xmlNamespace + "\">"))
		out.padding = hugeReply
		return out, string(v.fault)
	}
	if q.action == "" && q.method == http.MethodGet {
		// STS sends browsers to IAM's page; known only from public reports.
		return &reply{status: http.StatusFound, location: "https://aws.amazon.com/iam"}, "MissingAction"
	}
	granted, refused := s.assumeRoleWithWebIdentity(ctx, q, v)
	if refused != nil {
		return refused.reply(), refused.code
	}
	return v.spoil(granted)
}

// spoil applies the faults of the reply that need a good one.
func (v visit) spoil(s session) (*reply, string) {
	switch v.fault {
	case NoCredentials:
		s.Credentials = nil
	case EmptyKeys:
		s.Credentials = &credentials{Expiration: s.Credentials.Expiration}
	case ExpiredCredentials:
		s.Credentials = newCredentials(v.now().Add(-time.Minute).Truncate(time.Second))
	case TruncatedReply:
		out := s.reply()
		out.truncated = true
		return out, string(v.fault)
	default:
		return s.reply(), ""
	}
	return s.reply(), string(v.fault)
}
