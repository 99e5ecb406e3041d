package irsa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/awserror"
	"github.com/irsakit/irsakit/internal/lazyregexp"
)

// verdict determines whether the credentials of a failed request are replaced.
type verdict int

const (
	accepted   verdict = iota // not rejected, or for a reason that new credentials would not change
	doubtful                  // the credentials may be the cause
	invalidKey                // the service rejected the credentials as unknown or expired
)

// verdictOf classifies an error code. AccessDenied and SignatureDoesNotMatch count as accepted,
// because new credentials rarely help, although AccessDenied is also the code for revoked sessions.
func verdictOf(code string) verdict {
	switch {
	case awserror.Is(code, awserror.InvalidKeyCodes()...):
		return invalidKey
	case awserror.Is(code, "RequestExpired", "AuthFailure", "InvalidToken"):
		return doubtful
	default:
		return accepted
	}
}

// rejection is a service's rejection of credentials.
type rejection struct {
	verdict verdict
	host    string // the service's host, without a bucket name
	key     string // the access key ID
	code    string
}

// rejectionOf returns the rejection reported by an error of a service client. It returns the zero
// rejection if err does not contain a service's response to the request, which is nil if none was sent.
func rejectionOf(err error, request *http.Request, bucket string) rejection {
	var api smithy.APIError
	if request == nil || !errors.As(err, &api) || !hasResponse(err) {
		return rejection{}
	}
	r := rejection{verdict: verdictOf(api.ErrorCode()), host: hostOf(request, bucket), key: accessKeyOf(request), code: api.ErrorCode()}
	var status interface{ HTTPStatusCode() int }
	if request.Method == http.MethodHead && errors.As(err, &status) && status.HTTPStatusCode() == http.StatusBadRequest {
		r.verdict = max(r.verdict, doubtful) // the response to HEAD has no body, and therefore no code
	}
	return r
}

// hasResponse reports whether err contains a service's response.
func hasResponse(err error) bool {
	var failed *smithyhttp.ResponseError
	return errors.As(err, &failed) && failed.Response != nil && failed.Response.Response != nil
}

// credential matches the access key ID in the Authorization header of a signed request.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
var credential = lazyregexp.New(`Credential=([^/,\s]+)/`)

// accessKeyOf returns the access key ID that a request was signed with, or "" if it is not signed.
func accessKeyOf(request *http.Request) string {
	if match := credential.FindStringSubmatch(request.Header.Get("Authorization")); match != nil {
		return match[1]
	}
	return ""
}

// servedKeys contains the current and the previous access key of a Provider.
type servedKeys struct{ keys atomic.Pointer[[2]servedKey] }

type servedKey struct {
	id string
	at time.Time
}

// record records an access key before it is served.
func (k *servedKeys) record(id string) {
	var before servedKey
	if keys := k.keys.Load(); keys != nil {
		before = keys[0]
	}
	k.keys.Store(&[2]servedKey{{id, time.Now()}, before})
}

// receivedAt returns when the newest or the previous key was received. newest reports which of the two
// it is; for any other key, ok is false.
func (k *servedKeys) receivedAt(id string) (at time.Time, newest, ok bool) {
	if keys := k.keys.Load(); keys != nil && id != "" {
		for i, key := range keys {
			if key.id == id {
				return key.at, i == 0, true
			}
		}
	}
	return time.Time{}, false, false
}

// replace replaces rejected credentials if necessary. It reports whether to retry the request with
// newer ones. It waits for at most one exchange, until ctx is done or the attempt times out. If the
// exchange fails, replace returns its error.
func (p *Provider) replace(ctx context.Context, r rejection) (bool, error) {
	if _, _, ours := p.state.keys.receivedAt(r.key); r.verdict == accepted || !ours {
		return false, nil
	}
	if r.verdict == doubtful && p.state.hosts.accepts(r.host, r.key) {
		return false, nil // rejected for another reason
	}
	minAge := p.recordRejection(r)
	rejected := aws.Credentials{AccessKeyID: r.key}
	if r.verdict == doubtful {
		_ = p.cache.Replace(doneContext(), rejected, minAge)
		return false, nil
	}
	switch err := p.cache.Replace(ctx, rejected, minAge); {
	case err == nil:
		return ctx.Err() == nil, nil
	case errors.Is(err, cache.ErrRejected): // no exchange, or it returned the same credentials
		return false, nil
	default:
		return false, p.explain(ctx, err)
	}
}

// doneContext returns a context that is done. With it, the Cache starts an attempt without waiting.
func doneContext() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// recordRejection records a host's rejection of the newest key, and reports the first one. It returns
// how old the credentials must be before an exchange starts. The previous key is ignored, because
// requests signed with it may still be in flight, and late responses to them reveal nothing new about
// the host.
func (p *Provider) recordRejection(r rejection) (minAge time.Duration) {
	received, newest, _ := p.state.keys.receivedAt(r.key)
	if r.verdict == accepted || !newest {
		return 0
	}
	minAge, report := p.state.hosts.reject(r.host, r.key, r.verdict)
	if report {
		p.reportRejection(r, time.Since(received))
	}
	return minAge
}

// recordAcceptance records that a host accepted a key, provided it is the newest.
func (p *Provider) recordAcceptance(host, key string) {
	if _, newest, _ := p.state.keys.receivedAt(key); newest {
		p.state.hosts.accept(host, key)
	}
}

func (p *Provider) reportRejection(r rejection, age time.Duration) {
	p.logLater(slog.LevelWarn, "credentials rejected by a service", "role", p.config.RoleARN,
		"host", r.host, "code", r.code, "received_ago", age.Round(time.Second))
	rejected := Event{Kind: EventRejected, Time: time.Now(), Status: p.Status()}
	p.event(func() Event { return rejected })
}

// rejectedError is the error of a request whose credentials were rejected and could not be replaced.
// It wraps the service's error and the exchange's error.
type rejectedError struct{ service, exchange error }

func (e *rejectedError) Error() string {
	return fmt.Sprintf("%v; replacing the rejected credentials failed: %v", e.service, e.exchange)
}
func (e *rejectedError) Unwrap() []error { return []error{e.service, e.exchange} }
