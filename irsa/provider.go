package irsa

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/evict"
	"github.com/irsakit/irsakit/internal/explain"
)

// Provider is an [aws.CredentialsProvider] for one role. It is created by [New] and should be closed
// with [Provider.Close] when no longer in use. All methods are safe for concurrent use.
//
// A Provider that becomes unreachable without being closed is garbage collected.
type Provider struct {
	*resources
	config  *config.Config
	state   *attemptState
	cache   *cache.Cache
	pool    *Pool                    // nil if created by New
	member  *evict.Member[*Provider] // nil if it is not shared by a Pool
	chain   *chainExchange           // nil for a web identity
	derived derivedProviders         // Providers whose source is this Provider
}

// New returns a Provider for the role specified by the environment and the options. It validates them,
// and reports all problems in one [ErrNotConfigured] error.
//
// New makes no requests, and reads the token only if no other setting determines the region. The first
// call to Retrieve or [Provider.WaitReady] starts the first exchange.
func New(optFns ...func(*Options)) (*Provider, error) {
	var opts Options
	for _, fn := range optFns {
		fn(&opts)
	}
	env := environment()
	c, errs := env.Resolve(context.Background(), opts.config())
	if len(errs) > 0 {
		return nil, notConfigured(&c, errs)
	}
	r := newResources(&c, &opts, 0, 0)
	r.warn(env.Warnings(&c))
	return newProvider(r, &c, nil), nil
}

// initCache creates p's cache, with attempts as its source.
func (p *Provider) initCache(attempts aws.CredentialsProvider) {
	p.cache = cache.New(followedSource{attempts, p}, func(o *cache.Options) {
		o.AttemptTimeout = p.config.Shared.AttemptTimeout
		o.Permanent, o.RetryAfter = explain.Permanent, explain.RetryAfter
		if p.pool != nil {
			o.Limiter, o.Tenant, o.MaxIdleLifetimes = p.pool.limiter, p.config.Tenant, maxIdleLifetimes
		}
	})
}

// Retrieve returns valid credentials. If they are cached, it returns immediately, without I/O or
// allocation. Otherwise it waits for an exchange until ctx is done. If the last exchange failed,
// Retrieve returns its [*Error] immediately until the next exchange is due. However, callers waiting
// for the first credentials wait through up to two temporary failures. If the third exchange fails
// too, they get its error after about two seconds, or after three attempt timeouts if STS does not
// respond at all.
//
// Expires is when the Provider stops serving the credentials: 8 to 10 seconds before their expiry, or
// 0.8 to 1% of the lifetime if it is below 1000 seconds. Expires is never later than the expiry.
func (p *Provider) Retrieve(ctx context.Context) (creds aws.Credentials, err error) {
	if p.cache.TryRetrieve(&creds) {
		return creds, nil
	}
	creds, err = p.cache.Retrieve(ctx)
	return creds, p.explain(ctx, err)
}

// Ready returns nil if the Provider has valid credentials. Otherwise it waits for an exchange like
// [Provider.Retrieve], and returns an [*Error] if that fails or ctx is done. Use it in a readiness
// probe, with a timeout shorter than the probe's timeoutSeconds, which is 1 by default. While exchanges
// fail but the credentials are still valid, Ready returns nil because callers are not affected; Healthy
// reports such failures. Do not use either in a liveness probe: a restart fixes nothing and discards
// credentials that are still valid.
func (p *Provider) Ready(ctx context.Context) error {
	_, err := p.Retrieve(ctx)
	return err
}

// MinTTL returns a provider that serves p's credentials, always with at least d left until Expires.
// Use it for presigned URLs and EKS tokens, which expire with the credentials that signed them.
// Refreshes start early enough that callers do not wait. If d exceeds 60% of the credentials'
// lifetime, Retrieve returns an [ErrInvalidRequest] error that wraps [cache.ErrMinTTL], as soon as the
// lifetime is known. A negative d is treated as 0. The returned provider keeps p reachable.
func (p *Provider) MinTTL(d time.Duration) aws.CredentialsProvider {
	return p.cache.MinTTL(d)
}

// Refresh starts a new exchange and waits until it completes or ctx is done. It returns an [*Error] if
// the exchange fails. Concurrent calls share an exchange. Requested exchanges start at least a second
// apart and, after a failure, not before the next exchange is due.
func (p *Provider) Refresh(ctx context.Context) error {
	return p.explain(ctx, p.cache.Refresh(ctx))
}

// minPoll and maxPoll bound the polling interval of WaitReady. WaitReady polls because it does not
// schedule exchanges, and because the time of the next attempt is a reading of the wall clock, which
// can be stepped.
const (
	minPoll = 100 * time.Millisecond
	maxPoll = time.Second
)

// WaitReady blocks until valid credentials are available or ctx is done. After any failure, it waits
// for the next attempt. Use it when a pod starts, because the sidecar of a service mesh or a newly
// created role may not be ready yet. If ctx is done first, WaitReady returns an [*Error] that wraps
// both ctx's error and the error of the last attempt. After Close, it returns within a second.
func (p *Provider) WaitReady(ctx context.Context) error {
	for {
		_, err := p.cache.Retrieve(ctx)
		if err == nil {
			return nil
		}
		if errors.Is(err, cache.ErrClosed) || errors.Is(err, ctx.Err()) {
			return p.explain(ctx, err)
		}
		var attempt *cache.Error
		interval := minPoll
		if errors.As(err, &attempt) {
			interval = min(max(interval, time.Until(attempt.NextAttempt)), maxPoll)
		}
		timer := time.NewTimer(interval)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return p.explain(ctx, fmt.Errorf("%w: %w", ctx.Err(), err))
		}
	}
}

// Invalidate withdraws the given credentials from all callers, for example after the role's sessions
// were revoked. They are never served again, and an exchange starts to replace them, but newer
// credentials are kept. Invalidate starts at most one exchange per minute and does not block. Clients
// created from [Provider.AWSConfig] do not need it, because they replace rejected credentials
// themselves.
func (p *Provider) Invalidate(rejected aws.Credentials) { p.cache.Invalidate(rejected) }

// AdjustExpiresBy returns the credentials unchanged. An aws.CredentialsCache that wraps the Provider
// calls it to apply its ExpiryWindow, which would only make callers wait.
func (p *Provider) AdjustExpiresBy(creds aws.Credentials, d time.Duration) (aws.Credentials, error) {
	return p.cache.AdjustExpiresBy(creds, d)
}

// Format prints the type, the role and the state of the Provider, regardless of the verb.
func (p *Provider) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "irsa.Provider(%s, %s)", p.config.RoleARN, p.cache.Status().State)
}

// ProviderSources returns the credential sources that the SDK reports in its User-Agent header, as the
// SDK's own provider does.
func (p *Provider) ProviderSources() []aws.CredentialSource {
	if p.chain != nil {
		return append(p.chain.source.ProviderSources(), aws.CredentialSourceSTSAssumeRole)
	}
	return []aws.CredentialSource{aws.CredentialSourceSTSAssumeRoleWebID}
}

// Close closes the Provider and the Providers derived from it with AssumeRole. It cancels exchanges in
// progress, wakes waiting callers, and waits for all goroutines that the Providers started. After
// that, methods return an [ErrClosed] error. Close may be called more than once. It is a no-op for a
// Provider that a [Pool] shares, whether it was obtained directly or through AssumeRole; closing the
// Pool closes it, unless the Pool has evicted it. An evicted Provider serves its credentials until they
// expire.
//
// Close waits for up to [Options].AttemptTimeout in total. It returns an error if the application's
// client, token source, log handler or observer has not returned by then. They must not call Close.
func (p *Provider) Close() error {
	switch {
	case p.member != nil:
		return nil
	case p.chain != nil: // the source or the Pool owns everything else
		return closeCaches(p.appendClosing(nil))
	}
	deadline := time.Now().Add(p.config.Shared.AttemptTimeout)
	watch := p.watch.stop()
	return errors.Join(closeCaches(p.appendClosing(nil)), p.release(watch, deadline))
}

// appendClosing appends p and the Providers that are closed with it. After that, no Providers can be
// derived from them. A Pool closes its own Providers, except evicted ones.
func (p *Provider) appendClosing(all []*Provider) []*Provider {
	all = append(all, p)
	p.derived.close()
	p.derived.each(func(derived *Provider) {
		if derived.member == nil {
			all = derived.appendClosing(all)
		}
	})
	return all
}

// closeCaches closes the caches of Providers concurrently, so that any that hang share a single
// AttemptTimeout instead of adding up.
func closeCaches(all []*Provider) error {
	results := make(chan error, len(all))
	for _, p := range all {
		go func() { results <- p.cache.Close() }()
	}
	var first error
	failed := 0
	for range all {
		if err := <-results; err != nil {
			first = cmp.Or(first, err)
			failed++
		}
	}
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("irsa: close failed for %d of %d Providers, the first: %w", failed, len(all), first)
}
