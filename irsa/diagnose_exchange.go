package irsa

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// exchange: does STS give credentials for the token?
func (d *diagnosis) exchange(ctx context.Context) {
	switch {
	case len(d.faults) > 0:
		d.skip(checkExchange, "the settings are not valid")
		return
	case d.token == nil:
		d.skip(checkExchange, "there is no token")
		return
	case d.hung || !d.reached():
		d.skip(checkExchange, "STS is not reached")
		return
	}
	limit := d.settings.AttemptTimeout
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end)).Round(time.Millisecond)
	}
	attempt, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	creds, err := d.provider.exchange.Retrieve(attempt)
	if err == nil {
		d.creds = &creds
		d.pass(checkExchange, "STS gives credentials for the session %s", d.provider.exchange.sessionName(d.token.Claims()))
		return
	}
	var e *Error
	if !errors.As(err, &e) { // it always is
		e = d.facts(ErrUnavailable, err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		e.err = fmt.Errorf("it hangs: no answer within %v", limit)
	}
	d.fail(checkExchange, e)
}

// identifier is what an STS client has that can say whose credentials are.
type identifier interface {
	GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error)
}

// callerIdentity: do the credentials work, and whose are they?
func (d *diagnosis) callerIdentity(ctx context.Context) {
	client, ok := d.provider.exchange.client.(identifier)
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
	out, err := client.GetCallerIdentity(ctx, nil, once, signed)
	if err == nil {
		d.pass(checkCallerIdentity, "%s", aws.ToString(out.Arn))
		return
	}
	e := d.facts(kindOf(err), plain(withoutSecrets(err, d.creds.SessionToken, d.creds.SecretAccessKey)))
	if !strings.HasPrefix(d.settings.RoleARN, "arn:aws") {
		d.add(checkCallerIdentity, CheckWarned, e.err.Error(), hint{"", "not every server other than AWS can say it"})
		return
	}
	e.set(hint{headingRefusedByService, "STS gave these credentials, and does not take them: check the node's clock and what stands between the pod and STS"})
	d.fail(checkCallerIdentity, e)
}

// expiry: how long do the credentials live?
func (d *diagnosis) expiry(context.Context) {
	if d.creds == nil {
		d.skip(checkExpiry, "there are no credentials")
		return
	}
	left := time.Until(d.creds.Expires).Round(time.Second)
	text := fmt.Sprintf("the credentials end at %s, in %v", clockTime(d.creds.Expires), left)
	role, err := arn.Parse(d.settings.RoleARN)
	if err == nil && strings.HasPrefix(role.Partition, "aws") && left < 14*time.Minute {
		d.add(checkExpiry, CheckWarned, text+", though AWS gives 15 minutes at least", hint{headingClock, "check the node's clock, and what answers in place of STS"})
		return
	}
	d.pass(checkExpiry, "%s; they are refreshed when 60 to 80 %% of that have passed", text)
}
