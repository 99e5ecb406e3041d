package diagnose

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/internal/exchange"
	"github.com/irsakit/irsakit/internal/explain"
)

// networkChecks returns the names of the checks covered by the unsigned request to STS.
func networkChecks() []string {
	return []string{nameNameResolution, nameConnection, nameTLS, nameAnswer, nameClock}
}

// checkNetwork sends an unsigned request to check whether STS is reachable and to read its clock.
func (d *diagnosis) checkNetwork(ctx context.Context) {
	if d.config.URL() == "" || d.result.has(nameEndpoint, Skipped) {
		for _, name := range networkChecks() {
			d.skip(name, "the address of STS is unknown")
		}
		return
	}
	if d.skipIfDone(ctx, networkChecks()...) {
		return
	}
	client := d.httpClient()
	limit := remaining(ctx, probeLimit)
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	p := sendProbe(limited, client, d.config.URL())
	p.limit = limit
	if errors.Is(ctx.Err(), context.Canceled) && d.skipIfDone(ctx, networkChecks()...) {
		return
	}
	p.stopTrace()
	d.checkNameResolution(p, exchange.Proxied(client, d.config.URL()))
	d.checkConnection(p, exchange.Proxied(client, d.config.URL()))
	d.checkTLS(p)
	d.checkResult(p)
	d.checkClock(p)
}

// httpClient returns the HTTP client used for the exchange.
func (d *diagnosis) httpClient() aws.HTTPClient {
	if d.client.HTTP() == nil { // the settings are invalid
		return exchange.DefaultHTTPClient()
	}
	return d.client.HTTP()
}

// failIfBroken reports whether a step started but did not complete because it failed or timed out. If
// so, it adds a failed check. tooLong is the advice for a timeout.
func (d *diagnosis) failIfBroken(name string, s step, p *probe, tooLong explain.Advice) bool {
	if !s.begun || s.done || p.err == nil {
		return false
	}
	d.failProbe(name, p, tooLong)
	return true
}

// failProbe adds a failed check for the probe's error. tooLong is the advice for a timeout.
func (d *diagnosis) failProbe(name string, p *probe, tooLong explain.Advice) {
	err, a := p.err, explain.For(d.facts(explain.ErrUnavailable, p.err))
	if explain.IsTimeout(p.err) {
		d.timedOut = name
		err, a = fmt.Errorf("timed out after %v", p.limit), tooLong
	}
	d.fail(name, err, a)
}

func (d *diagnosis) checkNameResolution(p *probe, proxied bool) {
	hung := explain.Advice{Heading: explain.HeadingNameResolution, Text: "the cluster's DNS does not respond: check it, and the network policies for port 53"}
	switch {
	case d.failIfBroken(nameNameResolution, p.lookup, p, hung):
	case p.lookup.begun && proxied:
		d.pass(nameNameResolution, "%s, the host of the proxy", p.host)
	case p.lookup.begun:
		d.pass(nameNameResolution, "%s", p.host)
	case !p.traced():
		d.skip(nameNameResolution, "the HTTP client does not report this step")
	default:
		d.skip(nameNameResolution, "the host is an IP address")
	}
}

func (d *diagnosis) checkConnection(p *probe, proxied bool) {
	https := strings.HasPrefix(d.config.URL(), "https://")
	switch {
	case d.failIfBroken(nameConnection, p.connect, p, explain.Timeout(d.config.Region, d.config.URL())):
	case p.connect.done && proxied && https && !p.handshake.begun && p.err != nil:
		d.failProbe(nameConnection, p, explain.Advice{Heading: explain.HeadingProxy, Text: "the proxy " + p.address + " accepts the connection, but does not connect to STS: check the proxy, or add the host of STS to NO_PROXY"})
	case p.connect.done && proxied:
		d.pass(nameConnection, "connected to %s, the proxy", p.address)
	case p.connect.done:
		d.pass(nameConnection, "connected to %s", p.address)
	case p.reused:
		d.pass(nameConnection, "an existing connection was reused")
	case !p.traced():
		d.skip(nameConnection, "the HTTP client does not report this step")
	default:
		d.skip(nameConnection, "the host name was not resolved")
	}
}

func (d *diagnosis) checkTLS(p *probe) {
	tooLong := explain.Advice{Heading: explain.HeadingTimeout, Text: "something accepts the connection and then does not respond: check the endpoint, and the proxies, firewalls and service mesh between the pod and STS"}
	switch {
	case d.failIfBroken(nameTLS, p.handshake, p, tooLong):
	case p.handshake.done:
		d.pass(nameTLS, "the certificate is valid")
	case strings.HasPrefix(d.config.URL(), "http://"):
		d.skip(nameTLS, "the endpoint is http://")
	case p.reused || !p.traced():
		d.skip(nameTLS, "the HTTP client does not report this step")
	default:
		d.skip(nameTLS, "not connected")
	}
}

// reachedSTS reports whether every step before the response succeeded or was skipped.
func (d *diagnosis) reachedSTS() bool {
	return !d.result.has(nameNameResolution, Failed) && !d.result.has(nameConnection, Failed) && !d.result.has(nameTLS, Failed)
}

func (d *diagnosis) checkResult(p *probe) {
	answered := fmt.Sprintf("a server responds with HTTP %d", p.status)
	switch {
	case !d.reachedSTS():
		d.skip(nameAnswer, "STS was not reached")
	case p.err != nil:
		d.failProbe(nameAnswer, p, explain.Timeout(d.config.Region, d.config.URL()))
	case p.status >= http.StatusInternalServerError && p.fromSTS:
		d.add(nameAnswer, Warned, fmt.Sprintf("STS responds with HTTP %d", p.status), explain.Advice{Heading: explain.HeadingSTSUnavailable, Text: "wait: STS is failing, and the library retries"})
	case p.fromSTS:
		d.pass(nameAnswer, "STS responds")
	case d.facts(nil, nil).IsAWS():
		d.otherServer = true
		d.add(nameAnswer, Warned, answered+", but the response is not from AWS STS", explain.NotSTS(p.status, d.config.Shared.Endpoint, d.config.URL()))
	default:
		d.pass(nameAnswer, "%s", answered)
	}
}

// setClock is the advice for a wrong clock on the node, and foreignDate the reason if the clock cannot
// be checked.
const (
	setClock = "set the clock of this node (for example with chronyc makestep), and check its time synchronization"

	foreignDate = "the Date header in the response is not from STS"
)

// checkClock compares the node's clock with that of STS. Services reject requests signed by a clock
// that is off by more than 5 minutes.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
func (d *diagnosis) checkClock(p *probe) {
	switch {
	case p.date.IsZero() && p.hasDate:
		d.skip(nameClock, foreignDate)
		return
	case p.date.IsZero():
		d.skip(nameClock, "no Date header in the response")
		return
	}
	skew, relation := p.skew(), "ahead of"
	if skew < 0 {
		skew, relation = -skew, "behind"
	}
	text := fmt.Sprintf("the node's clock is %v %s that of the endpoint", skew.Round(time.Second), relation)
	h := explain.Advice{Heading: explain.HeadingClock, Text: setClock}
	switch {
	case skew >= 5*time.Minute:
		d.fail(nameClock, errors.New(text), h)
	case skew >= 5*time.Second:
		d.add(nameClock, Warned, text, h)
	default:
		d.pass(nameClock, "the node's clock agrees with that of the endpoint")
	}
}
