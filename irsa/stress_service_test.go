package irsa_test

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// wrongServices reject every key that they get, each with its own code.
var wrongServices = []string{"ExpiredToken", "InvalidClientTokenId", "RequestExpired"}

// request sends requests to services that reject every key.
func (w *world) request(a *actor) {
	for range 1 + w.random.IntN(3) {
		code := wrongServices[w.random.IntN(len(wrongServices))]
		client := a.client(code)
		patience := time.Duration(w.random.IntN(20)) * time.Second
		w.background(patience, func(ctx context.Context) { w.judgeRejection(a, code, identify(ctx, client)) })
	}
}

// client returns a client of a service that rejects every key with the code.
func (a *actor) client(code string) *sts.Client {
	if a.clients == nil {
		a.clients = map[string]*sts.Client{}
	}
	if a.clients[code] == nil {
		a.clients[code] = rejecting(code).client(a.AWSConfig(), code+".example")
	}
	return a.clients[code]
}

// judgeRejection checks the error of a request to a service that rejects every key: it is the
// service's, or there were no credentials to sign with.
func (w *world) judgeRejection(a *actor, code string, err error) {
	if !w.check(err != nil, "%s: a request succeeded that is always rejected", a.name) {
		return
	}
	w.judgeText(err.Error())
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == code {
		return
	}
	var canceled *smithy.CanceledError
	if !errors.As(err, &canceled) && !errors.Is(err, context.DeadlineExceeded) {
		w.judgeError(a, err)
	}
}

// nag sends requests for the actors that are rejected all the time.
func (w *world) nag() {
	for _, a := range slices.Clone(w.actors) {
		if a.nagged {
			w.request(a)
		}
	}
}

// checkHour checks that the successful exchanges within an hour are those that were due, those for
// which there was a reason, and at most 8 for each service that rejects all keys. w.mu is held.
func (w *world) checkHour(a *actor, now time.Time) {
	within := func(all []time.Time) []time.Time {
		return slices.DeleteFunc(all, func(at time.Time) bool { return now.Sub(at) >= time.Hour })
	}
	a.exchanges = append(within(a.exchanges), now)
	a.reasons = within(a.reasons)
	// The shortest lifetime that a wrong Date and a clock that is wrong by 4 minutes leave.
	shortest := w.lifetime()*3/4 - 4*time.Minute
	due := int(time.Hour / (shortest / 10 * 6))
	most := due + 8*len(wrongServices) + 2*len(a.reasons)
	w.check(len(a.exchanges) <= most, "%s has %d exchanges within an hour, at most %d are expected", a.name, len(a.exchanges), most)
}
