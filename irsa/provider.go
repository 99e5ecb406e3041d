package irsa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/notify"
)

// Provider is an [aws.CredentialsProvider] of one role's credentials. Make it with
// [New] and end it with [Provider.Close]. All its methods are safe for concurrent
// use.
//
// A Provider that is dropped without Close is collected as any value is.
type Provider struct {
	settings *settings
	known    *known
	cache    *cache.Cache
	watch    *watch
	events   *notify.Queue[Event]
	pool     *Pool     // nil for one of New's
	source   *Provider // whose credentials assume the role; nil for a web identity
	hops     hops      // whose source it is
}

// New returns a Provider of the role that the environment and the options name. It
// validates them, and reports all that is wrong in one [*Error] of the kind
// [ErrNotConfigured]. It starts nothing on the network: the first exchange comes
// with the first caller, or with [Provider.WaitReady].
//
// It reads the token only where nothing else names the region.
func New(optFns ...func(*Options)) (*Provider, error) {
	var opts Options
	for _, fn := range optFns {
		fn(&opts)
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	s, faults := resolve(context.Background(), opts)
	if len(faults) > 0 {
		return nil, faults.error(s)
	}
	s.connect(0)
	s.warn()
	x := &exchange{settings: &s}
	p := &Provider{settings: &s, known: &x.known, watch: &watch{}, events: &notify.Queue[Event]{}}
	p.keep(x)
	return p, nil
}

// keep makes the cache of the credentials that attempts give.
func (p *Provider) keep(attempts aws.CredentialsProvider) {
	p.cache = cache.New(attempts, func(o *cache.Options) {
		o.AttemptTimeout = p.settings.AttemptTimeout
		o.Permanent, o.RetryAfter = permanent, retryAfter
		o.Logger = slog.New(roleHandler{p.settings.Logger.Handler(), p.settings.RoleARN})
		o.Observe = p.attempted
		if p.pool != nil {
			o.Limiter, o.IdleLives = p.pool.limiter, idleLives
		}
	})
}

// Retrieve returns valid credentials. While there are some it returns at once,
// without I/O or allocation; else it waits for the exchange with STS, no longer
// than ctx lasts. It returns an [*Error]: that of the last exchange, at once, until
// the next one is due. The first callers of all are kept waiting through two
// failures that may pass by themselves: for some two seconds, or for two attempts'
// limits where STS does not answer at all.
//
// Their Expires is the time at which the Provider stops serving them: 8 to 10 s before
// their end, or 0.8 to 1% of a shorter lifetime. They are never extended.
func (p *Provider) Retrieve(ctx context.Context) (creds aws.Credentials, err error) {
	if p.cache.TryRetrieve(&creds) {
		return creds, nil
	}
	if creds, err = p.cache.Retrieve(ctx); err != nil {
		err = p.explain(ctx, err)
	}
	return creds, err
}

// MinTTL returns a provider of the same credentials that always have at least d
// left until their Expires: for presigned URLs and EKS tokens, which die with the
// credentials that signed them. Refreshes come early enough that its callers do not
// wait. A d above 60 % of the life of the credentials is an [*Error] of the kind
// [ErrInvalidRequest] that wraps [cache.ErrMinTTL], once that life is known; a
// negative one counts as 0. The view holds the Provider.
func (p *Provider) MinTTL(d time.Duration) aws.CredentialsProvider {
	return &view{provider: p, credentials: p.cache.MinTTL(d)}
}

// view is a Provider seen through a least time that must be left.
type view struct {
	provider    *Provider
	credentials aws.CredentialsProvider
}

// Retrieve is the Provider's, with as much time left as the view was made for.
func (v *view) Retrieve(ctx context.Context) (aws.Credentials, error) {
	creds, err := v.credentials.Retrieve(ctx)
	if err != nil {
		return creds, v.provider.explain(ctx, err)
	}
	return creds, nil
}

// AdjustExpiresBy is the Provider's.
func (v *view) AdjustExpiresBy(creds aws.Credentials, d time.Duration) (aws.Credentials, error) {
	return v.provider.AdjustExpiresBy(creds, d)
}

// ProviderSources is the Provider's.
func (v *view) ProviderSources() []aws.CredentialSource { return v.provider.ProviderSources() }

// Format is the Provider's.
func (v *view) Format(f fmt.State, verb rune) { v.provider.Format(f, verb) }

// Refresh makes a new exchange and waits for it, no longer than ctx lasts. Calls at
// the same time share one; exchanges that are asked for begin a second apart at
// least, and after a failed one the next comes when it is due. It returns an
// [*Error] if the exchange failed.
func (p *Provider) Refresh(ctx context.Context) error {
	return p.explain(ctx, p.cache.Refresh(ctx))
}

// So long WaitReady rests between its looks. When an exchange is made is not its
// business, and the wall clock, by which it knows the next one, can be stepped.
const (
	shortestPause = 100 * time.Millisecond
	longestPause  = 5 * time.Second
)

// WaitReady returns nil as soon as there are valid credentials. Whatever fails, it
// waits for the next attempt, until ctx ends: for the start of a pod, where the
// sidecar of a mesh, or a role that was just made, takes a while. Its [*Error] then
// wraps ctx's error and the last attempt's.
func (p *Provider) WaitReady(ctx context.Context) error {
	for {
		_, err := p.cache.Retrieve(ctx)
		if err == nil {
			return nil
		}
		if errors.Is(err, cache.ErrClosed) || ctx.Err() != nil {
			return p.explain(ctx, err)
		}
		var attempt *cache.Error
		pause := shortestPause
		if errors.As(err, &attempt) {
			pause = min(max(pause, time.Until(attempt.NextAttempt)), longestPause)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return p.explain(ctx, fmt.Errorf("%w: %w", ctx.Err(), err))
		}
	}
}

// Invalidate withdraws these credentials from all callers, for example after the role's sessions
// were revoked: they are never served again, and an exchange for new ones starts. Newer credentials
// are kept. However often it is called, it starts at most one exchange a minute. Clients of
// [Provider.AWSConfig] do not need it: they replace credentials that a service rejects. It does
// not block.
func (p *Provider) Invalidate(rejected aws.Credentials) { p.cache.Invalidate(rejected) }

// AdjustExpiresBy returns the credentials unchanged. An aws.CredentialsCache around
// the Provider calls it to apply its ExpiryWindow, which would only make it wait.
func (p *Provider) AdjustExpiresBy(creds aws.Credentials, d time.Duration) (aws.Credentials, error) {
	return p.cache.AdjustExpiresBy(creds, d)
}

// Format prints what it is, its role and its state, whatever the verb.
func (p *Provider) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "irsa.Provider(%s, %s)", p.settings.RoleARN, p.cache.Status().State)
}

// ProviderSources returns how the credentials are had, as the SDK's own provider
// does. The SDK counts it in its User-Agent header.
func (p *Provider) ProviderSources() []aws.CredentialSource {
	if p.source != nil {
		return append(p.source.ProviderSources(), aws.CredentialSourceSTSAssumeRole)
	}
	return []aws.CredentialSource{aws.CredentialSourceSTSAssumeRoleWebID}
}

// Close ends the Provider: it cancels the exchange under way, wakes its callers, and
// waits until everything that it started has ended, the Providers of AssumeRole too. From
// then on its methods return an [*Error] of the kind [ErrClosed]. It can be called again.
// On a Provider of a [Pool], which others have too, it does nothing: the Pool ends it. One
// that the Pool has forgotten, and those of its AssumeRole, serve what they have after that.
//
// It waits no longer than twice [Options].AttemptTimeout for each Provider; where a
// client, a token source or an observer of the caller's has still not returned then, it
// returns an error that says so. It must not be called by them.
func (p *Provider) Close() error {
	if p.pool != nil && p.source == nil {
		return nil
	}
	return p.end()
}

func (p *Provider) end() error {
	err := p.hops.end()
	if p.pool != nil || p.source != nil { // what else it has is another's
		return errors.Join(err, p.cache.Close())
	}
	watch := p.watch.stop()
	err = errors.Join(err, p.cache.Close(), p.settings.wait(watch, p.events.Idle()))
	p.settings.disconnect()
	return err
}

// wait waits for what Options gave, but not for long.
func (s *settings) wait(all ...<-chan struct{}) error {
	limit := time.NewTimer(s.AttemptTimeout)
	defer limit.Stop()
	for _, ended := range all {
		select {
		case <-ended:
		case <-limit.C:
			return errors.New("irsa: closed, but the token file or Options.Observe still keeps a goroutine")
		}
	}
	return nil
}
