package diagnose

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/irsakit/irsakit/internal/exchange"
	"github.com/irsakit/irsakit/internal/explain"
)

// checkExchange checks whether STS returns credentials for the token. It also runs if an earlier step
// timed out, because that step may only have been slow.
func (d *diagnosis) checkExchange(ctx context.Context) {
	switch {
	case len(d.errs) > 0:
		d.skip(NameExchange, "an earlier check failed")
		return
	case d.token == nil:
		d.skip(NameExchange, "no token could be read")
		return
	case !d.reachedSTS() && d.timedOut == "":
		d.skip(NameExchange, "STS was not reached")
		return
	case d.skipIfDone(ctx, NameExchange):
		return
	}
	limit := remaining(ctx, d.config.Shared.AttemptTimeout)
	attempt, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	creds, err := d.exchange.Retrieve(attempt)
	if err == nil {
		d.creds = &creds
		d.settle()
		d.pass(NameExchange, "STS returned credentials for the session %s", d.exchange.SessionNameFor(d.token.Claims()))
		return
	}
	f := exchange.Facts(d.config, explain.Kind(err, ""), err, d.exchange.UsedToken.Load())
	f.File.NeverRenewed = d.exchange.NeverRenewed.Load()
	timedOut := explain.IsTimeout(err) && errors.Is(f.Kind, explain.ErrUnavailable)
	if timedOut {
		err = fmt.Errorf("timed out after %v", limit)
	}
	d.fail(NameExchange, err, explain.For(f))
	d.align(timedOut)
}

// align makes a failed exchange and the checks with the same cause show the same advice. If the
// exchange timed out after an earlier step did, the advice is that for the step. Otherwise, it is
// that for the exchange.
func (d *diagnosis) align(timedOut bool) {
	last := &d.result.Checks[len(d.result.Checks)-1]
	for i := range d.result.Checks {
		switch c := &d.result.Checks[i]; {
		case timedOut && c.Name == d.timedOut:
			last.Advice, last.Link = c.Advice, c.Link
		case c.Name == nameClock: // about the node's clock, while the exchange may have failed because of the API server's
		case c.Link != "" && c.Link == last.Link && (c.Status == Failed || c.Status == Warned):
			c.Advice = last.Advice
		}
	}
}

// settle revises earlier checks after a successful exchange. Failed checks become warnings, and
// warnings that are irrelevant for a server other than AWS, or for an OIDC provider with a different
// client ID, are cleared. If STS accepted a token that the node considers invalid, the advice is to
// correct the node's clock. If a proxy replaces the Date header, the clock cannot be checked.
func (d *diagnosis) settle() {
	for i := range d.result.Checks {
		c := &d.result.Checks[i]
		switch {
		case c.Name == nameAnswer && c.Status == Warned && d.otherServer, c.Name == nameClaims && c.Status == Warned && d.otherServer,
			c.Name == nameAudience && c.Status == Warned:
			c.Status, c.Advice, c.Link = Passed, "", ""
		case c.Name == nameLifetime && c.Status == Failed:
			c.Status, c.Advice, c.Link = Warned, setClock, explain.HeadingClock.Link()
			c.Detail += " by this node's clock, but the exchange succeeded"
		case c.Name == nameClock && d.exchange.ForeignDate.Load() && d.facts(nil, nil).IsAWS():
			*c = Check{Name: nameClock, Status: Skipped, Detail: foreignDate}
		case c.Status == Failed && slices.Contains([]string{nameRole, nameClaims, nameAudience, nameNameResolution, nameConnection, nameTLS, nameAnswer}, c.Name):
			c.Status = Warned
			c.Detail += ", but the exchange succeeded"
		}
	}
}

// checkCallerIdentity checks whether the credentials work and reports their identity.
func (d *diagnosis) checkCallerIdentity(ctx context.Context) {
	switch {
	case d.creds == nil:
		d.skip(nameCallerIdentity, "no credentials")
		return
	case !d.client.CanIdentify():
		d.skip(nameCallerIdentity, "the client in Options.STS cannot call GetCallerIdentity")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	identity, err := d.client.Identify(ctx, d.config, *d.creds)
	if err == nil {
		d.pass(nameCallerIdentity, "%s", identity)
		return
	}
	status, advice := d.identityStatus(err)
	d.add(nameCallerIdentity, status, err.Error(), advice)
}

// identityStatus returns the status and advice for an error of GetCallerIdentity. The check fails
// only if STS rejects the credentials, because programs do not need permission for this call.
func (d *diagnosis) identityStatus(err error) (Status, explain.Advice) {
	f := d.facts(nil, err)
	f.Kind, f.Source = explain.Kind(err, f.RoleARN), f.RoleARN // the request was signed by the role
	switch {
	case !f.IsAWS():
		return Warned, explain.Advice{Text: "ignore this if the server is not AWS: not every STS-compatible server supports GetCallerIdentity"}
	case errors.Is(f.Kind, explain.ErrAccessDenied):
		return Warned, explain.Advice{Heading: explain.HeadingAccessDenied, Text: "only this check is denied, usually by the VPC endpoint policy of STS: programs do not need it. To let it pass, allow sts:GetCallerIdentity there"}
	case errors.Is(f.Kind, explain.ErrThrottled), errors.Is(f.Kind, explain.ErrUnavailable):
		return Warned, explain.For(f)
	}
	switch a := explain.For(f); {
	case strings.Contains(f.Code, "Signature"), a.Heading == explain.HeadingClock, a.Heading == explain.HeadingRoleARN:
		return Failed, a
	default:
		return Failed, explain.Advice{Heading: explain.HeadingRefusedByService, Text: "STS does not accept the credentials that it returned: check the node's clock, and any proxy or gateway between the pod and STS"}
	}
}

func (d *diagnosis) checkExpiry(context.Context) {
	if d.creds == nil {
		d.skip(nameExpiry, "no credentials")
		return
	}
	left := time.Until(d.creds.Expires).Round(time.Second)
	text := fmt.Sprintf("the credentials expire at %s, in %v", explain.ClockTime(d.creds.Expires), left)
	if d.facts(nil, nil).IsAWS() && left < 14*time.Minute {
		d.add(nameExpiry, Warned, text+", although AWS sessions last at least 15 minutes", explain.Advice{Heading: explain.HeadingClock, Text: "check the node's clock, and which server responds as STS"})
		return
	}
	d.pass(nameExpiry, "%s; they are refreshed after 60 to 80%% of that time", text)
}
