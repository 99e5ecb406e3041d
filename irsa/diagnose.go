package irsa

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/exchange"
	"github.com/irsakit/irsakit/internal/explain"
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
	given, env := opts.config(), environment()
	if given.AttemptTimeout <= 0 || given.AttemptTimeout > exchangeLimit {
		given.AttemptTimeout = exchangeLimit
	}
	c, errs := env.Resolve(ctx, given)
	d := &diagnosis{report: &Report{}, env: env, given: given, config: &c, errs: errs, client: exchange.NewClient(&c, 0)}
	d.exchanger = newAttempts(d.config, d.client, nil)
	for _, check := range []func(context.Context){
		d.environment, d.otherCredentials, d.role, d.checkOtherSettings,
		d.tokenPath, d.tokenPermission, d.readToken, d.claims, d.audience, d.lifetime,
		d.region, d.endpoint, d.network,
		d.exchange, d.callerIdentity, d.expiry,
	} {
		check(ctx)
	}
	d.client.CloseIdleConnections()
	return d.report
}

// diagnosis is the state of one call of Diagnose.
type diagnosis struct {
	report    *Report
	env       config.Environment
	given     config.Config // the settings before they were resolved
	config    *config.Config
	client    *exchange.Client
	errs      config.Errors
	exchanger *attempts
	timedOut  string // the check that timed out
	token     *tokenfile.Token
	creds     *aws.Credentials
}

func (d *diagnosis) add(name string, status CheckStatus, detail string, a explain.Advice) {
	d.report.Checks = append(d.report.Checks, Check{
		Name: name, Status: status, Detail: explain.OneLine(detail), Cure: explain.OneLine(a.Text), Link: a.Heading.Link(),
	})
}

func (d *diagnosis) pass(name, format string, args ...any) {
	d.add(name, CheckPassed, fmt.Sprintf(format, args...), explain.Advice{})
}

func (d *diagnosis) skip(name, format string, args ...any) {
	d.add(name, CheckSkipped, fmt.Sprintf(format, args...), explain.Advice{})
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
		Name: name, Status: CheckFailed, Detail: explain.OneLine(e.err.Error()), Cure: explain.OneLine(e.Cure), Link: e.Link,
	})
}

// failIf adds a failed check if there are configuration errors with these headings, and reports
// whether there are any. Their texts contain the advice.
func (d *diagnosis) failIf(name string, headings ...explain.Heading) bool {
	var mine config.Errors
	for _, e := range d.errs {
		if slices.Contains(headings, e.Heading) {
			mine = append(mine, e)
		}
	}
	if len(mine) == 0 {
		return false
	}
	e := &Error{err: mine.Join()}
	e.set(explain.Advice{Heading: mine[0].Heading})
	d.fail(name, e)
	return true
}

// facts returns an Error with the settings and claims that advice depends on.
func (d *diagnosis) facts(kind, err error) *Error {
	c := d.config
	e := &Error{Kind: kind, RoleARN: c.RoleARN, Region: c.Region, Endpoint: c.URL, TokenFile: c.TokenFile, err: err}
	if d.token != nil {
		claims := d.token.Claims()
		e.Issuer, e.Subject, e.Audience, e.TokenExpiry = claims.Issuer, claims.Subject, claims.Audience, claims.Expiry
	}
	return e
}

// request returns the request that STS evaluates a trust policy for, or nil without a role or
// a token.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
func (d *diagnosis) request() *trustpolicy.Request {
	e := d.facts(nil, nil)
	issuer := explain.WithoutScheme(e.Issuer)
	if e.RoleARN == "" || issuer == "" {
		return nil
	}
	return &trustpolicy.Request{
		Action:    "sts:AssumeRoleWithWebIdentity",
		Principal: trustpolicy.Principal{Federated: e.facts().ProviderARN()},
		Context: map[string][]string{
			issuer + ":sub":       {e.Subject},
			issuer + ":aud":       e.Audience,
			"sts:RoleSessionName": {d.exchanger.exchange.SessionNameFor(d.token.Claims())},
		},
	}
}
