package irsatest

import (
	"context"
	"net/http"
	"time"
)

// answer performs a call, or applies the fault that replaces its response.
func (s *STS) answer(ctx context.Context, q query, c pendingCall) outcome {
	if out := faultOutcome(c.fault, q); out != nil {
		return *out
	}
	if q.action == "" && q.request.Method == http.MethodGet {
		// STS redirects browsers to the IAM page. This is known only from public reports.
		return outcome{reply: &reply{status: http.StatusFound, location: "https://aws.amazon.com/iam"}, code: "MissingAction"}
	}
	if r := q.checkAction(); r != nil {
		return r.outcome()
	}
	if q.action == assumeRoleWithWebIdentity {
		result, rejected := s.assumeRoleWithWebIdentity(ctx, q, c)
		if rejected != nil {
			return rejected.outcome()
		}
		code := c.corruptCredentials(&result.Credentials)
		return c.success(newResult(q.action, result), code)
	}
	caller, rejected := s.authenticate(ctx, q, c.now())
	if rejected != nil {
		return rejected.outcome()
	}
	out := s.answerSigned(caller, q, c)
	out.caller = caller.user().ARN
	return out
}

// answerSigned performs a call whose signature has been verified.
func (s *STS) answerSigned(caller *session, q query, c pendingCall) outcome {
	if q.action == getCallerIdentity {
		return c.success(newResult(q.action, callerIdentity(caller)), "")
	}
	result, rejected := s.assumeRole(q, c, caller)
	if rejected != nil {
		return rejected.outcome()
	}
	code := c.corruptCredentials(&result.Credentials)
	return c.success(newResult(q.action, result), code)
}

func (r *rejection) outcome() outcome {
	return outcome{reply: r.reply(), code: r.code, reason: r.reason}
}

// faultOutcome returns the outcome of a fault that replaces the entire response, or nil for other
// faults.
func faultOutcome(f Fault, q query) *outcome {
	if r := f.rejection(q); r != nil {
		out := r.withReason("the fault %s", f).outcome()
		return &out
	}
	var r *reply
	switch f {
	case EmptyReply:
		r = &reply{status: http.StatusOK}
	case HTMLReply:
		r = newReply([]byte("<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Sign in to the network.<br></body></html>\n"))
		r.mediaType = "text/html; charset=utf-8"
	case GarbageReply:
		r = newReply(randomBytes(1024))
	case HugeReply:
		r = newReply([]byte("<AssumeRoleWithWebIdentityResponse xmlns=\"" + xmlNamespace + "\">"))
		r.padding = hugeReplySize
	default:
		return nil
	}
	return &outcome{reply: r, code: string(f)}
}

// corruptCredentials applies the call's fault to the credentials in a successful response. It returns
// the code to record.
func (c pendingCall) corruptCredentials(keys **credentials) string {
	switch c.fault {
	case NoCredentials:
		*keys = nil
	case EmptyKeys:
		*keys = &credentials{Expiration: (*keys).Expiration}
	case ExpiredCredentials:
		*keys = newCredentials(c.now().Add(-time.Minute).Truncate(time.Second))
	default:
		return ""
	}
	return string(c.fault)
}

// success returns r as the outcome, truncated if the call's fault is TruncatedReply.
func (c pendingCall) success(r *reply, code string) outcome {
	if c.fault == TruncatedReply {
		r.truncated, code = true, string(c.fault)
	}
	return outcome{reply: r, code: code}
}

// now returns the time according to the clock of the STS.
func (c pendingCall) now() time.Time { return time.Now().Add(c.skew) }

// date returns the value of the Date header. To omit the header, it returns nil, because net/http
// then does not add its own.
func (c pendingCall) date() []string {
	if c.omitDate {
		return nil
	}
	return []string{c.now().UTC().Format(http.TimeFormat)}
}

// expiry returns when a session of the requested duration expires. AWS truncates it to whole seconds.
func (c pendingCall) expiry(requested time.Duration) time.Time {
	if c.maxLifetime > 0 && c.maxLifetime < requested {
		requested = c.maxLifetime
	}
	end := c.now().Add(requested)
	if requested%time.Second == 0 {
		end = end.Truncate(time.Second)
	}
	return end
}
