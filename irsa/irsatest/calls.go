package irsatest

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// Call records a request to the STS. It never contains the token.
type Call struct {
	// Time is when the request arrived, by this process's clock.
	Time time.Time
	// Action is the API action, such as "AssumeRoleWithWebIdentity".
	Action string
	// RoleARN and SessionName are from the request.
	RoleARN     string
	SessionName string
	// Duration is the requested duration, or 0 if none was requested.
	Duration time.Duration
	// Subject is the token's sub claim, even if the token was rejected, or "" if it cannot be read.
	Subject string
	// Caller is the ARN of the session that signed the request, or "" if the request was not signed
	// or its signature was rejected.
	Caller string
	// TokenFingerprint is the first 8 hexadecimal digits of the token's SHA-256 hash.
	TokenFingerprint string
	// Err is AWS's error code, or the name of a connection or response Fault, or "" if the call
	// succeeded. It is "NoReply" while the call is in progress, and stays so if the call is
	// interrupted or the client disconnects. If Down refuses a connection, Err is "Refused" in
	// memory, but on loopback there is no record.
	Err string
	// Reason explains why the call was rejected, in more detail than AWS provides, such as which
	// condition of the trust policy does not match.
	Reason string
}

const (
	callNoReply = "NoReply"
	callRefused = "Refused"
)

// Calls returns the requests recorded so far, in order of arrival.
func (s *STS) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Call, len(s.calls))
	for i, call := range s.calls {
		out[i] = *call
	}
	return out
}

// CallCount returns the number of recorded requests without copying them, for tests that poll.
func (s *STS) CallCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// ForgetCalls discards the recorded requests.
func (s *STS) ForgetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}

// finish records how a call ended.
func (s *STS) finish(call *Call, o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	call.Err, call.Reason, call.Caller = o.code, o.reason, o.caller
}

func (q query) newCall() *Call {
	c := &Call{
		Time:        time.Now(),
		Action:      q.action,
		RoleARN:     q.form.Get("RoleArn"),
		SessionName: q.form.Get("RoleSessionName"),
		Err:         callNoReply,
	}
	if seconds, err := strconv.Atoi(q.form.Get("DurationSeconds")); err == nil {
		c.Duration = time.Duration(seconds) * time.Second
	}
	if raw := q.form.Get("WebIdentityToken"); raw != "" {
		sum := sha256.Sum256([]byte(raw))
		c.TokenFingerprint = hex.EncodeToString(sum[:4])
	}
	c.Subject = q.identity.text("sub")
	return c
}
