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

// The names of the checks, in their order.
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

// A diagnosis takes no longer than diagnosisLimit; of that one exchange takes
// exchangeLimit at most, and the plain request before it probeLimit.
const (
	diagnosisLimit = 9 * time.Second
	exchangeLimit  = 5 * time.Second
	probeLimit     = 2500 * time.Millisecond
)

// Diagnose goes through everything that lies between the pod's environment and
// credentials, with the options that New would get, and reports each step: what is
// set, the role, the token file and what is in it, the way to STS, one exchange of the
// token, and whose the credentials are. It is for people who look for the cause of a
// failure: it makes three requests to STS, one of them without credentials, and keeps
// nothing.
//
// It takes 9 seconds at most, less if ctx ends, and says which step took too long; but a
// token source that does not heed its context delays it. It is safe for concurrent use.
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
	d := &diagnosis{report: &Report{}, given: opts}
	d.settings, d.faults = resolve(ctx, opts)
	d.settings.connect(0)
	d.exchanges = &exchange{settings: &d.settings}
	for _, check := range []func(context.Context){
		d.environment, d.otherCredentials, d.role, d.setUp,
		d.tokenPath, d.tokenPermission, d.readToken, d.claims, d.audience, d.lifetime,
		d.region, d.endpoint, d.network,
		d.exchange, d.callerIdentity, d.expiry,
	} {
		check(ctx)
	}
	d.settings.disconnect()
	return d.report
}

// A diagnosis is a Report in the making.
type diagnosis struct {
	report    *Report
	given     Options
	settings  settings
	faults    faults
	exchanges *exchange
	late      string // the check that took too long
	token     *tokenfile.Token
	creds     *aws.Credentials
}

func (d *diagnosis) add(name string, status CheckStatus, detail string, h hint) {
	d.report.Checks = append(d.report.Checks, Check{
		Name: name, Status: status, Detail: oneLine(detail), Cure: oneLine(h.cure), Link: h.heading.link(),
	})
}

func (d *diagnosis) pass(name, format string, args ...any) {
	d.add(name, CheckPassed, fmt.Sprintf(format, args...), hint{})
}

func (d *diagnosis) skip(name, format string, args ...any) {
	d.add(name, CheckSkipped, fmt.Sprintf(format, args...), hint{})
}

// limitWithin returns limit, or the time left until ctx ends if that is less.
func limitWithin(ctx context.Context, limit time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(limit, time.Until(deadline))
	}
	return limit
}

// timeIsUp adds skipped checks if the context of the diagnosis has ended.
func (d *diagnosis) timeIsUp(ctx context.Context, names ...string) bool {
	if ctx.Err() == nil {
		return false
	}
	for _, name := range names {
		d.skip(name, "the time was up: %v", ctx.Err())
	}
	return true
}

// fail adds a check that failed with an Error, which has the cure.
func (d *diagnosis) fail(name string, e *Error) {
	d.report.Checks = append(d.report.Checks, Check{
		Name: name, Status: CheckFailed, Detail: oneLine(e.err.Error()), Cure: oneLine(e.Cure), Link: e.Link,
	})
}

// failIf adds a failed check for the faults with these headings; it says whether there
// are any. They say their cure themselves.
func (d *diagnosis) failIf(name string, headings ...heading) bool {
	var mine faults
	for _, f := range d.faults {
		if slices.Contains(headings, f.heading) {
			mine = append(mine, f)
		}
	}
	if len(mine) == 0 {
		return false
	}
	e := &Error{err: mine.join()}
	e.set(hint{heading: mine[0].heading})
	d.fail(name, e)
	return true
}

// facts is an Error with what is known of the set-up and the token, to make hints of.
func (d *diagnosis) facts(kind, err error) *Error {
	s := d.settings
	e := &Error{Kind: kind, RoleARN: s.RoleARN, Region: s.Region, Endpoint: s.url, TokenFile: s.TokenFile, err: err}
	if d.token != nil {
		claims := d.token.Claims()
		e.Issuer, e.Subject, e.Audience, e.TokenExpiry = claims.Issuer, claims.Subject, claims.Audience, claims.Expiry
	}
	return e
}

// request is what STS asks a trust policy about the token.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
func (d *diagnosis) request() *trustpolicy.Request {
	e := d.facts(nil, nil)
	issuer := withoutScheme(e.Issuer)
	if e.RoleARN == "" || issuer == "" {
		return nil
	}
	return &trustpolicy.Request{
		Action:    "sts:AssumeRoleWithWebIdentity",
		Principal: trustpolicy.Principal{Federated: e.providerARN()},
		Context: map[string][]string{
			issuer + ":sub":       {e.Subject},
			issuer + ":aud":       e.Audience,
			"sts:RoleSessionName": {d.exchanges.sessionName(d.token.Claims())},
		},
	}
}
