package irsa

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/trustpolicy"
	"github.com/irsakit/irsakit/tokenfile"
)

// The names of the checks, in the order of the report.
const (
	checkEnvironment      = "environment"
	checkOtherCredentials = "other-credentials"
	checkRole             = "role"
	checkSettings         = "settings"
	checkTokenPath        = "token-path"
	checkTokenPermission  = "token-permission"
	checkToken            = "token"
	checkClaims           = "claims"
	checkAudience         = "audience"
	checkLifetime         = "lifetime"
	checkRegion           = "region"
	checkEndpoint         = "endpoint"
	checkNameResolution   = "name-resolution"
	checkConnection       = "connection"
	checkTLS              = "tls"
	checkAnswer           = "answer"
	checkClock            = "clock"
	checkTrustPolicy      = "trust-policy"
	checkExchange         = "exchange"
	checkCallerIdentity   = "caller-identity"
	checkExpiry           = "expiry"
)

// diagnosisLimit bounds the whole diagnosis. Within it, exchangeLimit bounds the exchange
// and probeLimit the unsigned request before it.
const (
	diagnosisLimit = 9 * time.Second
	exchangeLimit  = 5 * time.Second
	probeLimit     = 2500 * time.Millisecond
)

// Diagnose checks every step between the pod's environment and its credentials, and reports
// each of them: the settings, the role, the token file and its claims, the connection to
// STS, an exchange of the token, and the identity of the credentials. It takes the same
// options as New. Use it to find the cause of a failure: it makes three requests to STS, one
// of them without credentials, and discards the credentials that it obtains.
//
// Diagnose takes at most 9 seconds, or until ctx is done, and reports which step timed out.
// A token source that ignores its context delays it further. Diagnose is safe for concurrent
// use.
func Diagnose(ctx context.Context, optFns ...func(*Options)) *Report {
	ctx, cancel := context.WithTimeout(ctx, diagnosisLimit)
	defer cancel()
	var opts Options
	for _, fn := range optFns {
		fn(&opts)
	}
	if opts.AttemptTimeout <= 0 || opts.AttemptTimeout > exchangeLimit {
		opts.AttemptTimeout = exchangeLimit
	}
	d := &diagnosis{report: &Report{}, opts: opts}
	d.config, d.errs = resolve(ctx, opts)
	d.config.connect(0)
	d.exchanger = &exchange{config: &d.config}
	for _, check := range []func(context.Context){
		d.environment, d.otherCredentials, d.role, d.checkOtherSettings,
		d.tokenPath, d.tokenPermission, d.readToken, d.claims, d.audience, d.lifetime,
		d.region, d.endpoint, d.network,
		d.exchange, d.callerIdentity, d.expiry,
	} {
		check(ctx)
	}
	d.config.disconnect()
	return d.report
}

// diagnosis is the state of one call of Diagnose.
type diagnosis struct {
	report    *Report
	opts      Options
	config    config
	errs      configErrors
	exchanger *exchange
	timedOut  string // the check that timed out
	token     *tokenfile.Token
	creds     *aws.Credentials
}

func (d *diagnosis) add(name string, status CheckStatus, detail string, a advice) {
	d.report.Checks = append(d.report.Checks, Check{
		Name: name, Status: status, Detail: oneLine(detail), Cure: oneLine(a.text), Link: a.heading.link(),
	})
}

func (d *diagnosis) pass(name, format string, args ...any) {
	d.add(name, CheckPassed, fmt.Sprintf(format, args...), advice{})
}

func (d *diagnosis) skip(name, format string, args ...any) {
	d.add(name, CheckSkipped, fmt.Sprintf(format, args...), advice{})
}

// remaining returns limit, or the time left until ctx ends if that is less.
func remaining(ctx context.Context, limit time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(limit, time.Until(deadline))
	}
	return limit
}

// skipIfDone reports whether ctx is done. If so, it adds the checks with these names as skipped.
func (d *diagnosis) skipIfDone(ctx context.Context, names ...string) bool {
	if ctx.Err() == nil {
		return false
	}
	for _, name := range names {
		d.skip(name, "the time was up: %v", ctx.Err())
	}
	return true
}

// fail adds a failed check with the text and the advice of e.
func (d *diagnosis) fail(name string, e *Error) {
	d.report.Checks = append(d.report.Checks, Check{
		Name: name, Status: CheckFailed, Detail: oneLine(e.err.Error()), Cure: oneLine(e.Cure), Link: e.Link,
	})
}

// failIf adds a failed check if there are configuration errors with these headings, and reports
// whether there are any. Their texts contain the advice.
func (d *diagnosis) failIf(name string, headings ...heading) bool {
	var mine configErrors
	for _, e := range d.errs {
		if slices.Contains(headings, e.heading) {
			mine = append(mine, e)
		}
	}
	if len(mine) == 0 {
		return false
	}
	e := &Error{err: mine.join()}
	e.set(advice{heading: mine[0].heading})
	d.fail(name, e)
	return true
}

// facts returns an Error with the settings and claims that advice depends on.
func (d *diagnosis) facts(kind, err error) *Error {
	c := d.config
	e := &Error{Kind: kind, RoleARN: c.RoleARN, Region: c.Region, Endpoint: c.url, TokenFile: c.TokenFile, err: err}
	if d.token != nil {
		claims := d.token.Claims()
		e.Issuer, e.Subject, e.Audience, e.TokenExpiry = claims.Issuer, claims.Subject, claims.Audience, claims.Expiry
	}
	return e
}

// identity returns the web identity that STS evaluates a trust policy for, or nil without a role
// or a token.
func (d *diagnosis) identity() *trustpolicy.WebIdentity {
	e := d.facts(nil, nil)
	if e.RoleARN == "" || withoutScheme(e.Issuer) == "" {
		return nil
	}
	return &trustpolicy.WebIdentity{
		Provider: e.providerARN(), Issuer: e.Issuer, Subject: e.Subject, Audiences: e.Audience,
		SessionName: d.exchanger.sessionName(d.token.Claims()),
	}
}
