package irsatest

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// Call is the record of one request to the STS. It never holds the token.
type Call struct {
	// Time is when the request arrived, by this process's clock.
	Time time.Time
	// Action is the API's, such as "AssumeRoleWithWebIdentity".
	Action string
	// RoleARN and SessionName are as they were asked for.
	RoleARN     string
	SessionName string
	// Duration is what was asked for, 0 if it was left to STS.
	Duration time.Duration
	// Subject is the token's sub claim, also of a token that was refused; "" if
	// it cannot be read.
	Subject string
	// Caller is the ARN of the session that signed the request; "" if it is unsigned
	// or was refused for its signature.
	Caller string
	// TokenFingerprint is the first 8 hexadecimal digits of the token's SHA-256.
	TokenFingerprint string
	// Err is "" if credentials were sent, else the code of AWS's error or the
	// name of the Fault of connection or reply. It is "NoReply" while the call
	// is under way, and remains so if it is cut off or the client goes away; it
	// is "Refused" for a connection that Down refused, which in memory counts too.
	Err string
	// Reason is why the call was refused, where the kit knows more than AWS tells:
	// which condition of the trust policy does not match, for example.
	Reason string
}

const (
	callNoReply = "NoReply"
	callRefused = "Refused"
)

// Calls returns a record of each request that has arrived, in this order.
func (s *STS) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Call, len(s.calls))
	for i, call := range s.calls {
		out[i] = *call
	}
	return out
}

// CallCount returns len(Calls()), for tests that poll.
func (s *STS) CallCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// ForgetCalls empties the record.
func (s *STS) ForgetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}

func (s *STS) finish(call *Call, o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	call.Err, call.Reason, call.Caller = o.code, o.reason, o.caller
}

// newCall makes the record of a request.
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
