package irsa

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

// networkChecks returns the names of the checks that the unsigned request to STS covers.
func networkChecks() []string {
	return []string{checkNameResolution, checkConnection, checkTLS, checkAnswer, checkClock}
}

// network checks with an unsigned request whether STS can be reached, and what time it is there.
func (d *diagnosis) network(ctx context.Context) {
	if d.config.URL == "" || d.report.has(checkEndpoint, CheckSkipped) {
		for _, name := range networkChecks() {
			d.skip(name, "the address of STS is not known")
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
	p := sendProbe(limited, client, d.config.URL)
	p.limit = limit
	if errors.Is(ctx.Err(), context.Canceled) && d.skipIfDone(ctx, networkChecks()...) {
		return
	}
	p.stopTrace()
	d.nameResolution(p, exchange.Proxied(client, d.config.URL))
	d.connection(p, exchange.Proxied(client, d.config.URL))
	d.tls(p)
	d.answer(p)
	d.clock(p)
}

// httpClient returns the HTTP client of the exchange.
func (d *diagnosis) httpClient() aws.HTTPClient {
	if d.client.HTTP() == nil { // the settings are not valid
		return exchange.DefaultHTTPClient()
	}
	return d.client.HTTP()
}

// failIfBroken reports whether a step started and did not complete, because it failed or timed out.
// If so, it adds a failed check, with the advice tooLong for a timeout.
func (d *diagnosis) failIfBroken(name string, s step, p *probe, tooLong explain.Advice) bool {
	if !s.begun || s.done || p.err == nil {
		return false
	}
	d.failProbe(name, p, tooLong)
	return true
}

// failProbe adds a failed check for the probe's error, with the advice tooLong for a timeout.
func (d *diagnosis) failProbe(name string, p *probe, tooLong explain.Advice) {
	e := d.facts(ErrUnavailable, p.err)
	e.set(explain.Network(e.facts()))
	if explain.IsTimeout(p.err) {
		d.timedOut = name
		e.err = fmt.Errorf("it hangs: not done within %v", p.limit)
		e.set(tooLong)
	}
	d.fail(name, e)
}

func (d *diagnosis) nameResolution(p *probe, proxied bool) {
	hung := explain.Advice{Heading: explain.HeadingNameResolution, Text: "the cluster's DNS does not answer: check it, and the network policies for port 53"}
	switch {
	case d.failIfBroken(checkNameResolution, p.lookup, p, hung):
	case p.lookup.begun && proxied:
		d.pass(checkNameResolution, "%s, the host of the proxy", p.host)
	case p.lookup.begun:
		d.pass(checkNameResolution, "%s", p.host)
	case !p.traced():
		d.skip(checkNameResolution, "the HTTP client does not tell")
	default:
		d.skip(checkNameResolution, "there is no name to resolve")
	}
}

func (d *diagnosis) connection(p *probe, proxied bool) {
	https := strings.HasPrefix(d.config.URL, "https://")
	switch {
	case d.failIfBroken(checkConnection, p.connect, p, explain.Timeout(d.config.Region)):
	case p.connect.done && proxied && https && !p.handshake.begun && p.err != nil:
		d.failProbe(checkConnection, p, explain.Advice{Heading: explain.HeadingProxy, Text: "the proxy " + p.address + " accepts the connection and makes none to STS: check it, or put the host of STS into NO_PROXY"})
	case p.connect.done && proxied:
		d.pass(checkConnection, "with %s, the proxy", p.address)
	case p.connect.done:
		d.pass(checkConnection, "with %s", p.address)
	case p.reused:
		d.pass(checkConnection, "there was an open one")
	case !p.traced():
		d.skip(checkConnection, "the HTTP client does not tell")
	default:
		d.skip(checkConnection, "the host has no address")
	}
}

func (d *diagnosis) tls(p *probe) {
	tooLong := explain.Advice{Heading: explain.HeadingTimeout, Text: "something accepts the connection and then says nothing: check the endpoint, proxies, firewalls and the mesh between the pod and STS"}
	switch {
	case d.failIfBroken(checkTLS, p.handshake, p, tooLong):
	case p.handshake.done:
		d.pass(checkTLS, "the certificate is good")
	case strings.HasPrefix(d.config.URL, "http://"):
		d.skip(checkTLS, "the endpoint is http://")
	case p.reused || !p.traced():
		d.skip(checkTLS, "the HTTP client does not tell")
	default:
		d.skip(checkTLS, "there is no connection")
	}
}

// reachedSTS reports whether no step before the response failed.
func (d *diagnosis) reachedSTS() bool {
	return !d.report.has(checkNameResolution, CheckFailed) && !d.report.has(checkConnection, CheckFailed) && !d.report.has(checkTLS, CheckFailed)
}

func (d *diagnosis) answer(p *probe) {
	answered := fmt.Sprintf("something answers, with HTTP %d", p.status)
	switch {
	case !d.reachedSTS():
		d.skip(checkAnswer, "STS is not reached")
	case p.err != nil:
		d.failProbe(checkAnswer, p, explain.Timeout(d.config.Region))
	case p.status >= http.StatusInternalServerError && p.fromSTS:
		d.add(checkAnswer, CheckWarned, fmt.Sprintf("STS answers, with HTTP %d", p.status), explain.Advice{Heading: explain.HeadingSTSUnavailable, Text: "it has a fault of its own, which passes by itself"})
	case p.fromSTS:
		d.pass(checkAnswer, "STS answers")
	case d.facts(nil, nil).facts().IsAWS():
		d.add(checkAnswer, CheckWarned, answered+", but not as STS does", explain.NotSTS())
	default:
		d.pass(checkAnswer, "%s", answered)
	}
}

// clock compares the node's clock with STS's. Services reject signatures by a clock that is off
// by 5 minutes.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
func (d *diagnosis) clock(p *probe) {
	if p.date.IsZero() {
		d.skip(checkClock, "nothing tells the time")
		return
	}
	skew, relation := p.skew(), "ahead of"
	if skew < 0 {
		skew, relation = -skew, "behind"
	}
	text := fmt.Sprintf("the node's clock is %v %s that of the endpoint", skew.Round(time.Second), relation)
	h := explain.Advice{Heading: explain.HeadingClock, Text: "check the time synchronisation of the node"}
	switch {
	case skew >= 5*time.Minute:
		e := d.facts(ErrUnavailable, errors.New(text))
		e.set(h)
		d.fail(checkClock, e)
	case skew >= 5*time.Second:
		d.add(checkClock, CheckWarned, text, h)
	default:
		d.pass(checkClock, "the node's clock agrees with that of the endpoint")
	}
}
