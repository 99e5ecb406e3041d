package cache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// source is a scripted provider that records its calls. Its keys are numbered by call: AK1, AK2 and
// so on.
type source struct {
	lifetime time.Duration
	delay    time.Duration // duration of each call, unless its context ends first

	mu    sync.Mutex
	err   error // the error to return, or nil
	hung  bool  // returns only when its context ends
	calls []time.Time
}

var errBroken = errors.New("broken")

func (s *source) Retrieve(ctx context.Context) (aws.Credentials, error) {
	s.mu.Lock()
	s.calls = append(s.calls, time.Now())
	number, broken, hung, lifetime := len(s.calls), s.err, s.hung, s.lifetime
	s.mu.Unlock()
	if hung {
		<-ctx.Done()
		return aws.Credentials{}, ctx.Err()
	}
	if s.delay > 0 {
		select {
		case <-time.After(s.delay):
		case <-ctx.Done():
			return aws.Credentials{}, ctx.Err()
		}
	}
	if broken != nil {
		return aws.Credentials{}, broken
	}
	return keys(number, lifetime), nil
}

func keys(number int, lifetime time.Duration) aws.Credentials {
	return aws.Credentials{
		AccessKeyID:     fmt.Sprintf("AK%d", number),
		SecretAccessKey: "secret",
		SessionToken:    "token",
		CanExpire:       true,
		Expires:         time.Now().Add(lifetime),
	}
}

func (s *source) setError(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *source) setHung(hung bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hung = hung
}

func (s *source) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// callsSince returns the times of the calls since start, relative to start.
func (s *source) callsSince(start time.Time) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var since []time.Duration
	for _, call := range s.calls {
		if !call.Before(start) {
			since = append(since, call.Sub(start))
		}
	}
	return since
}
