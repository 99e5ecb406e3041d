package irsa

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/irsakit/irsakit/internal/explain"
)

// exchange checks whether STS returns credentials for the token. It also runs after a step that
// timed out, which may only have been slow.
func (d *diagnosis) exchange(ctx context.Context) {
	switch {
	case len(d.errs) > 0:
		d.skip(checkExchange, "the settings are not valid")
		return
	case d.token == nil:
		d.skip(checkExchange, "there is no token")
		return
	case !d.reachedSTS() && d.timedOut == "":
		d.skip(checkExchange, "STS is not reached")
		return
	case d.skipIfDone(ctx, checkExchange):
		return
	}
	limit := remaining(ctx, d.config.AttemptTimeout)
	attempt, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	creds, err := d.exchanger.Retrieve(attempt)
	if err == nil {
		d.creds = &creds
		d.excuseTimeout()
		d.pass(checkExchange, "STS gives credentials for the session %s", d.exchanger.exchange.SessionNameFor(d.token.Claims()))
		return
	}
	var e *Error
	if !errors.As(err, &e) { // cannot happen
		e = d.facts(ErrUnavailable, err)
	}
	if explain.IsTimeout(err) && e.Is(ErrUnavailable) {
		e.err = fmt.Errorf("it hangs: no answer within %v", limit)
	}
	d.fail(checkExchange, e)
}

// excuseTimeout turns the failure of the step that timed out into a warning, because the exchange
// succeeded.
func (d *diagnosis) excuseTimeout() {
	for i := range d.report.Checks {
		if c := &d.report.Checks[i]; c.Name == d.timedOut {
			c.Status = CheckWarned
			c.Detail += ", though the exchange got through"
		}
	}
}

// callerIdentity checks whether the credentials work, and reports their identity.
func (d *diagnosis) callerIdentity(ctx context.Context) {
	switch {
	case d.creds == nil:
		d.skip(checkCallerIdentity, "there are no credentials")
		return
	case !d.client.CanIdentify():
		d.skip(checkCallerIdentity, "Options.STS cannot be asked")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	identity, err := d.client.Identify(ctx, d.config, *d.creds)
	if err == nil {
		d.pass(checkCallerIdentity, "%s", identity)
		return
	}
	e := d.facts(explain.Kind(err), err)
	if !d.facts(nil, nil).facts().IsAWS() {
		d.add(checkCallerIdentity, CheckWarned, e.err.Error(), explain.Advice{Text: "not every server other than AWS can say it"})
		return
	}
	e.set(explain.Advice{Heading: explain.HeadingRefusedByService, Text: "STS gave these credentials, and does not take them: check the node's clock and what stands between the pod and STS"})
	d.fail(checkCallerIdentity, e)
}

// expiry checks the remaining lifetime of the credentials.
func (d *diagnosis) expiry(context.Context) {
	if d.creds == nil {
		d.skip(checkExpiry, "there are no credentials")
		return
	}
	left := time.Until(d.creds.Expires).Round(time.Second)
	text := fmt.Sprintf("the credentials end at %s, in %v", explain.ClockTime(d.creds.Expires), left)
	if d.facts(nil, nil).facts().IsAWS() && left < 14*time.Minute {
		d.add(checkExpiry, CheckWarned, text+", though AWS gives 15 minutes at least", explain.Advice{Heading: explain.HeadingClock, Text: "check the node's clock, and what answers in place of STS"})
		return
	}
	d.pass(checkExpiry, "%s; they are refreshed when 60 to 80 %% of that have passed", text)
}
