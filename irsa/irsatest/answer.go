package irsatest

import (
	"context"
	"net/http"
	"time"
)

// answer makes the reply to a call, and what its record says.
func (s *STS) answer(ctx context.Context, q query, v visit) outcome {
	if out := faultyReply(v.fault, q); out != nil {
		return *out
	}
	if q.action == "" && q.request.Method == http.MethodGet {
		// STS sends browsers to IAM's page; known only from public reports.
		return outcome{reply: &reply{status: http.StatusFound, location: "https://aws.amazon.com/iam"}, code: "MissingAction"}
	}
	if r := q.checkAction(); r != nil {
		return r.outcome()
	}
	if q.action == assumeRoleWithWebIdentity {
		result, refused := s.assumeRoleWithWebIdentity(ctx, q, v)
		if refused != nil {
			return refused.outcome()
		}
		code := v.spoil(&result.Credentials)
		return v.finished(newResult(q.action, result), code)
	}
	caller, refused := s.authenticate(ctx, q, v.now())
	if refused != nil {
		return refused.outcome()
	}
	out := s.answerTo(caller, q, v)
	out.caller = caller.user().ARN
	return out
}

// answerTo answers the actions that are signed.
func (s *STS) answerTo(caller *session, q query, v visit) outcome {
	if q.action == getCallerIdentity {
		return v.finished(newResult(q.action, identify(caller)), "")
	}
	result, refused := s.assumeRole(q, v, caller)
	if refused != nil {
		return refused.outcome()
	}
	code := v.spoil(&result.Credentials)
	return v.finished(newResult(q.action, result), code)
}

func (r *refusal) outcome() outcome {
	return outcome{reply: r.reply(), code: r.code, reason: r.reason}
}

// faultyReply is the reply of a fault that needs no good one; nil for other faults.
func faultyReply(f Fault, q query) *outcome {
	if r := f.refusal(q); r != nil {
		out := r.because("the fault %s", f).outcome()
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
		r.padding = hugeReply
	default:
		return nil
	}
	return &outcome{reply: r, code: string(f)}
}

// spoil applies the faults of the credentials in a good reply. It returns the code
// to record.
func (v visit) spoil(keys **credentials) string {
	switch v.fault {
	case NoCredentials:
		*keys = nil
	case EmptyKeys:
		*keys = &credentials{Expiration: (*keys).Expiration}
	case ExpiredCredentials:
		*keys = newCredentials(v.now().Add(-time.Minute).Truncate(time.Second))
	default:
		return ""
	}
	return string(v.fault)
}

// finished is the outcome of a good reply, perhaps spoilt.
func (v visit) finished(r *reply, code string) outcome {
	if v.fault == TruncatedReply {
		r.truncated, code = true, string(v.fault)
	}
	return outcome{reply: r, code: code}
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

// expires is the end of a session that was asked to last asked. AWS's has whole seconds.
func (v visit) expires(asked time.Duration) time.Time {
	if v.life > 0 && v.life < asked {
		asked = v.life
	}
	end := v.now().Add(asked)
	if asked%time.Second == 0 {
		end = end.Truncate(time.Second)
	}
	return end
}
