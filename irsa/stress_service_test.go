package irsa_test

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// rejectingCodes are the codes of services that reject every key.
var rejectingCodes = []string{"ExpiredToken", "InvalidClientTokenId", "RequestExpired"}

// request sends requests to services that reject every key.
func (w *world) request(a *actor) {
	for range 1 + w.random.IntN(3) {
		code := rejectingCodes[w.random.IntN(len(rejectingCodes))]
		client := a.client(code)
		timeout := time.Duration(w.random.IntN(20)) * time.Second
		w.background(timeout, func(ctx context.Context) { w.checkRejection(a, code, identify(ctx, client)) })
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

// checkRejection checks the error of a request to a service that rejects every key. It must be the
// service's error, unless there were no credentials to sign with.
func (w *world) checkRejection(a *actor, code string, err error) {
	if !w.check(err != nil, "%s: a request succeeded that is always rejected", a.name) {
		return
	}
	w.checkNoSecret(err.Error())
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == code {
		return
	}
	var canceled *smithy.CanceledError
	if !errors.As(err, &canceled) && !errors.Is(err, context.DeadlineExceeded) {
		w.checkError(a, err)
	}
}

// sendRejectedRequests sends requests for the actors whose keys are always rejected.
func (w *world) sendRejectedRequests() {
	for _, a := range slices.Clone(w.actors) {
		if a.alwaysRejected {
			w.request(a)
		}
	}
}

// checkHour checks the number of successful exchanges within an hour. It allows exchanges that were
// due, exchanges with a reason, and at most 8 exchanges for each service that rejects all keys. w.mu
// must be held.
func (w *world) checkHour(a *actor, now time.Time) {
	within := func(all []time.Time) []time.Time {
		return slices.DeleteFunc(all, func(at time.Time) bool { return now.Sub(at) >= time.Hour })
	}
	a.exchanges = append(within(a.exchanges), now)
	a.reasons = within(a.reasons)
	// The shortest lifetime if the Date is wrong and the clock is off by 4 minutes.
	shortest := w.lifetime()*3/4 - 4*time.Minute
	due := int(time.Hour / (shortest / 10 * 6))
	limit := due + 8*len(rejectingCodes) + 2*len(a.reasons)
	w.check(len(a.exchanges) <= limit, "%s has %d exchanges within an hour, at most %d are expected", a.name, len(a.exchanges), limit)
}
