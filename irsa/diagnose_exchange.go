package irsa

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

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
		d.pass(checkExchange, "STS gives credentials for the session %s", d.exchanger.sessionName(d.token.Claims()))
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

// identityClient is an STS client that can return the identity of credentials.
type identityClient interface {
	GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error)
}

// callerIdentity checks whether the credentials work, and reports their identity.
func (d *diagnosis) callerIdentity(ctx context.Context) {
	client, ok := d.client.api.(identityClient)
	switch {
	case d.creds == nil:
		d.skip(checkCallerIdentity, "there are no credentials")
		return
	case !ok:
		d.skip(checkCallerIdentity, "Options.STS cannot be asked")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	signed := func(o *sts.Options) {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return *d.creds, nil })
	}
	recorded := newResponse(0, secrets{d.creds.SessionToken, d.creds.SecretAccessKey})
	out, err := client.GetCallerIdentity(ctx, nil, d.client.singleRequest(d.config, recorded), signed)
	if err == nil {
		d.pass(checkCallerIdentity, "%s", aws.ToString(out.Arn))
		return
	}
	err = d.client.failure(recorded, err)
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
