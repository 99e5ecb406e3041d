package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

const (
	latency  = 250 * time.Millisecond // of STS: who waits for it is noticed
	life     = 4 * time.Second        // of credentials, which STS gives 15 minutes at least
	longLife = 8 * time.Second        // of those that have to outlive the outage
	patience = 10 * time.Second       // with each thing that is to happen
)

// show is a pod whose credentials are watched, scene after scene.
type show struct {
	kit      *irsatest.Cluster
	pod      *irsatest.Pod
	provider *irsa.Provider
	callers  *callers
	log      *journal
	screen   *screen
	life     time.Duration // of credentials
	patience time.Duration
}

// scenes are what happens, in this order. Each makes something happen, waits until
// it has happened, and says so; an error says what did not.
var scenes = []struct {
	name string
	play func(*show, context.Context) error
}{
	{"first credentials", (*show).firstCredentials},
	{"background refresh", (*show).backgroundRefresh},
	{"token rotation", (*show).tokenRotation},
	{"STS outage", (*show).outage},
	{"recovery", (*show).recovery},
}

// play plays all scenes while callers ask for credentials, and shows what they saw.
func (s *show) play(ctx context.Context) error {
	s.kit.STS.SetLatency(latency)
	s.kit.STS.SetLife(s.life)
	s.screen.event("%d callers ask, each once a millisecond. STS takes %v to answer.", crowd, latency)
	if err := s.playScenes(ctx); err != nil {
		return err
	}
	s.showTable()
	return nil
}

func (s *show) playScenes(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	background.Go(func() { s.callers.ask(ctx) })
	background.Go(func() { s.screen.follow(ctx, s.status) })
	for _, scene := range scenes {
		if err := scene.play(s, ctx); err != nil {
			return fmt.Errorf("%s: %w", scene.name, err)
		}
	}
	return nil
}

func (s *show) firstCredentials(ctx context.Context) error {
	served := func() bool { return s.callers.seen().served == crowd }
	if err := s.until(ctx, "credentials for every caller", served); err != nil {
		return err
	}
	if n := s.kit.STS.CallCount(); n != 1 {
		return fmt.Errorf("there were %d STS calls, not one for all callers", n)
	}
	seen := s.callers.seen()
	s.screen.claim("First credentials: %s. All callers waited %v for one call.", seen.key, short(seen.firstWait))
	return nil
}

func (s *show) backgroundRefresh(ctx context.Context) error {
	if err := s.newCredentials(ctx); err != nil {
		return err
	}
	seen := s.callers.seen()
	s.screen.claim("Refreshed in the background: %s. No call took longer than %v.", seen.key, short(seen.longestWait))
	return nil
}

func (s *show) tokenRotation(ctx context.Context) error {
	before := s.lastToken()
	s.kit.STS.SetLife(longLife)
	s.pod.Rotate()
	s.screen.event("The kubelet rotates the token. STS last saw %s.", before)
	if err := s.newCredentials(ctx); err != nil {
		return err
	}
	after := s.lastToken()
	if after == before {
		return errors.New("the next exchange still used the old token")
	}
	s.screen.claim("Refreshed: %s. STS saw the new token, %s.", s.callers.seen().key, after)
	return nil
}

func (s *show) outage(ctx context.Context) error {
	before, warnings := s.callers.seen(), s.log.count(slog.LevelWarn)
	s.kit.STS.Down()
	s.screen.event("STS is down. It refuses connections.")
	failed := func() bool {
		return s.provider.Status().Failures > 0 && s.log.count(slog.LevelWarn) > warnings
	}
	if err := s.until(ctx, "a refresh that fails, with a warning in the log", failed); err != nil {
		return err
	}
	s.screen.claim("A refresh failed. No caller noticed: %d calls meanwhile, no error.",
		s.callers.seen().calls-before.calls)
	return nil
}

func (s *show) recovery(ctx context.Context) error {
	lines := s.log.count(slog.LevelInfo)
	s.kit.STS.Up()
	s.screen.event("STS is up again.")
	if err := s.newCredentials(ctx); err != nil {
		return err
	}
	recovered := func() bool {
		return s.provider.Status().Failures == 0 && s.log.count(slog.LevelInfo) > lines
	}
	if err := s.until(ctx, "the recovery in status and log", recovered); err != nil {
		return err
	}
	s.screen.claim("Recovered: %s.", s.callers.seen().key)
	return nil
}

// newCredentials waits until callers get others than now.
func (s *show) newCredentials(ctx context.Context) error {
	before := s.callers.seen().different
	return s.until(ctx, "new credentials", func() bool { return s.callers.seen().different > before })
}

// until waits until something has happened that the show claims. It fails if it
// takes too long, and as soon as callers suffer.
func (s *show) until(ctx context.Context, what string, happened func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.patience, fmt.Errorf("not seen within %v: %s", s.patience, what))
	defer cancel()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !happened() {
		if err := s.callers.seen().complaint(); err != nil {
			return err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return s.callers.seen().complaint()
}

// lastToken is the fingerprint of the token that STS was shown last.
func (s *show) lastToken() string {
	calls := s.kit.STS.Calls()
	return calls[len(calls)-1].TokenFingerprint
}
