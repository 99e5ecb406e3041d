// Package diagnose checks every step between the environment of a pod and its credentials.
package diagnose

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/exchange"
	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/tokenfile"
)

// Names of the checks, in report order.
const (
	nameEnvironment      = "environment"
	nameOtherCredentials = "other-credentials"
	nameRole             = "role"
	nameSettings         = "settings"
	nameTokenPath        = "token-path"
	nameTokenPermission  = "token-permission"
	nameToken            = "token"
	nameClaims           = "claims"
	nameAudience         = "audience"
	nameLifetime         = "lifetime"
	nameRegion           = "region"
	nameEndpoint         = "endpoint"
	nameNameResolution   = "name-resolution"
	nameConnection       = "connection"
	nameTLS              = "tls"
	nameAnswer           = "answer"
	nameClock            = "clock"
	nameTrustPolicy      = "trust-policy"
	NameExchange         = "exchange"
	nameCallerIdentity   = "caller-identity"
	nameExpiry           = "expiry"
)

// diagnosisLimit limits the whole diagnosis. Within it, exchangeLimit limits the exchange and
// probeLimit the unsigned request before it.
const (
	diagnosisLimit = 9 * time.Second
	exchangeLimit  = 5 * time.Second
	probeLimit     = 2500 * time.Millisecond
)

// Status is the result of a Check. See package irsa for the possible results.
type Status string

// Results of checks.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Warned  Status = "warned"
	Skipped Status = "skipped"
)

// Check is the result of one step. Each string is a single line.
type Check struct {
	Name   string
	Status Status
	Detail string
	Advice string
	Link   string
}

// Result contains the results of all checks.
type Result struct {
	Checks   []Check
	Identity *Identity // the identity for which STS evaluates the trust policy; nil without a token
}

// has reports whether the result contains a check with this name and status.
func (r *Result) has(name string, status Status) bool {
	return slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Name == name && c.Status == status })
}

// Run checks every step between the environment and the credentials of a role. given contains the
// application's settings.
func Run(ctx context.Context, given config.Config, env config.Environment) *Result {
	ctx, cancel := context.WithTimeout(ctx, diagnosisLimit)
	defer cancel()
	if given.Shared.AttemptTimeout <= 0 || given.Shared.AttemptTimeout > exchangeLimit {
		given.Shared.AttemptTimeout = exchangeLimit
	}
	c, errs := env.Resolve(ctx, given)
	client := exchange.NewClient(&c, 0)
	defer client.CloseIdleConnections()
	d := &diagnosis{result: &Result{}, env: env, given: given, config: &c, errs: errs, client: client}
	d.exchange = exchange.WebIdentity{State: &exchange.State{}, Config: &c, Client: client}
	for _, check := range []func(context.Context){
		d.checkEnvironment, d.checkOtherCredentials, d.checkRole, d.checkSettings,
		d.checkTokenPath, d.checkTokenPermission, d.checkToken, d.checkClaims, d.checkAudience, d.checkLifetime,
		d.checkRegion, d.checkEndpoint, d.checkNetwork,
		d.checkExchange, d.checkCallerIdentity, d.checkExpiry,
	} {
		check(ctx)
	}
	return d.result
}

// diagnosis is the state of a single call of Run.
type diagnosis struct {
	result      *Result
	env         config.Environment
	given       config.Config // the settings before resolution
	config      *config.Config
	client      *exchange.Client
	errs        config.Errors
	exchange    exchange.WebIdentity
	timedOut    string       // the check that timed out
	interrupted bool         // a check failed because the context was done
	file        explain.File // the token file
	token       *tokenfile.Token
	creds       *aws.Credentials

	otherServer    bool // the response to the unsigned request was not from AWS
	otherPartition bool // the role is in another partition than the region
}

func (d *diagnosis) add(name string, status Status, detail string, a explain.Advice) {
	d.result.Checks = append(d.result.Checks, Check{
		Name: name, Status: status, Detail: explain.OneLine(detail), Advice: explain.OneLine(a.Text), Link: a.Heading.Link(),
	})
}

func (d *diagnosis) pass(name, format string, args ...any) {
	d.add(name, Passed, fmt.Sprintf(format, args...), explain.Advice{})
}

func (d *diagnosis) skip(name, format string, args ...any) {
	d.add(name, Skipped, fmt.Sprintf(format, args...), explain.Advice{})
}

// remaining returns limit or the time until ctx's deadline, whichever is less.
func remaining(ctx context.Context, limit time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(limit, time.Until(deadline))
	}
	return limit
}

// skipIfDone reports whether ctx is done. If so, it adds the named checks as skipped, except that the
// first one in the diagnosis fails instead.
func (d *diagnosis) skipIfDone(ctx context.Context, names ...string) bool {
	if ctx.Err() == nil {
		return false
	}
	for _, name := range names {
		if d.interrupted {
			d.skip(name, "not checked: %v", ctx.Err())
			continue
		}
		d.interrupted = true
		d.fail(name, fmt.Errorf("not checked: %w", ctx.Err()), explain.Advice{Text: "run the checks again, with more time"})
	}
	return true
}

func (d *diagnosis) fail(name string, err error, a explain.Advice) {
	d.add(name, Failed, strings.TrimPrefix(err.Error(), "tokenfile: "), a)
}

// failWithKind adds a failed check with the advice for an error of the given kind.
func (d *diagnosis) failWithKind(name string, kind, err error) {
	f := d.facts(kind, err)
	f.File = d.file
	d.fail(name, err, explain.For(f))
}

// failIf adds a failed check, with the advice for each error, if there are configuration errors under
// these headings. It reports whether there are any.
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
	d.fail(name, mine.Join(), exchange.SettingsAdvice(d.config, mine))
	return true
}

func (d *diagnosis) facts(kind, err error) explain.Facts {
	return exchange.Facts(d.config, kind, err, d.token)
}
