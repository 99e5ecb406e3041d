package irsa

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/internal/schedule"
	"github.com/irsakit/irsakit/tokenfile"
)

// exchange is the source of a Provider's cache. Each attempt exchanges the current token for
// credentials.
type exchange struct {
	attemptState
	config *config.Config
	client *stsClient
	pool   *Pool // nil for a Provider created by New
}

// attemptState is the state that the attempts of a Provider share with its other methods.
type attemptState struct {
	session atomic.Pointer[string]          // the session name; nil until the first token has been read
	used    atomic.Pointer[tokenfile.Token] // the token of the newest request
	seen    atomic.Pointer[tokenfile.Token] // the newest token
	issued  atomic.Pointer[[2]issuedKey]    // the newest key and the one before it
	hosts   hosts                           // the hosts that rejected keys
}

// issuedKey is an access key that an exchange returned.
type issuedKey struct {
	id string
	at time.Time
}

// recordKey records the access key of a successful exchange.
func (s *attemptState) recordKey(id string) {
	var before issuedKey
	if keys := s.issued.Load(); keys != nil {
		before = keys[0]
	}
	s.issued.Store(&[2]issuedKey{{id, time.Now()}, before})
}

// recordToken records a token, unless a newer one has been recorded.
func (s *attemptState) recordToken(token *tokenfile.Token) {
	if last := s.seen.Load(); last == nil || !token.Claims().IssuedAt.Before(last.Claims().IssuedAt) {
		s.seen.Store(token)
	}
}

// hasIssued reports whether the key is the newest or the one before it. It returns the time at
// which the key was received.
func (s *attemptState) hasIssued(id string) (at time.Time, ok bool) {
	if keys := s.issued.Load(); keys != nil && id != "" {
		for _, key := range keys {
			if key.id == id {
				return key.at, true
			}
		}
	}
	return time.Time{}, false
}

// Retrieve makes one request to STS with the current token. If STS rejects the token and
// it has been replaced meanwhile, Retrieve makes a second request with the new one.
func (x *exchange) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if x.pool != nil {
		if err := x.pool.checkOpen(x.config.RoleARN); err != nil {
			return aws.Credentials{}, err
		}
	}
	token, err := x.token(ctx)
	if err != nil {
		return aws.Credentials{}, tokenError(x.config, err)
	}
	creds, err := x.assume(ctx, token)
	if !errors.Is(err, ErrTokenExpired) && !errors.Is(err, ErrTokenRejected) {
		return creds, err
	}
	newer, readErr := x.token(ctx)
	if readErr != nil || newer.Reveal() == token.Reveal() {
		return creds, err
	}
	return x.assume(ctx, newer)
}

// token calls the token source. It redacts the source's error, which can contain tokens that the
// source returned before.
func (x *exchange) token(ctx context.Context) (token tokenfile.Token, err error) {
	secrets := append(secretsOf(x.used.Load()), secretsOf(x.seen.Load())...)
	defer secrets.recoverPanic("the token source", &err)
	token, err = x.config.Token.Token(ctx)
	return token, secrets.redactError(err)
}

func (x *exchange) assume(ctx context.Context, token tokenfile.Token) (creds aws.Credentials, err error) {
	x.used.Store(&token)
	x.recordToken(&token)
	secrets := secretsOf(&token)
	defer secrets.recoverPanic("the STS client", &err)
	recorded := newResponse(x.config.Lifetime(), secrets)
	out, err := x.client.api.AssumeRoleWithWebIdentity(ctx, x.input(token), x.client.singleRequest(x.config, recorded))
	received := time.Now()
	if err != nil {
		return aws.Credentials{}, x.exchangeError(x.client.failure(recorded, err), token)
	}
	creds, err = credentialsOf(out, recorded, received)
	if err == nil {
		err = checkAssumed(x.config.RoleARN, out.AssumedRoleUser)
	}
	if err != nil {
		return aws.Credentials{}, x.exchangeError(err, token)
	}
	x.recordKey(creds.AccessKeyID)
	return creds, nil
}

func (x *exchange) input(token tokenfile.Token) *sts.AssumeRoleWithWebIdentityInput {
	c := x.config
	input := &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(c.RoleARN),
		RoleSessionName:  aws.String(x.sessionName(token.Claims())),
		WebIdentityToken: aws.String(token.Reveal()),
		DurationSeconds:  aws.Int32(int32(c.Lifetime() / time.Second)),
	}
	if c.Policy != "" {
		input.Policy = aws.String(c.Policy)
	}
	for _, name := range c.PolicyARNs {
		input.PolicyArns = append(input.PolicyArns, types.PolicyDescriptorType{Arn: aws.String(name)})
	}
	return input
}

// sessionName returns the session name, which stays the same for the lifetime of the Provider.
func (x *exchange) sessionName(claims tokenfile.Claims) string {
	if x.config.SessionName != "" {
		return x.config.SessionName
	}
	if name := x.session.Load(); name != nil {
		return *name
	}
	name := config.SessionName(claims)
	x.session.CompareAndSwap(nil, &name)
	return *x.session.Load()
}

// credentialsOf returns the credentials in STS's response, with their expiry on the local clock.
// The response was complete at received.
func credentialsOf(out *sts.AssumeRoleWithWebIdentityOutput, recorded *response, received time.Time) (aws.Credentials, error) {
	if out == nil || out.Credentials == nil {
		return aws.Credentials{}, fmt.Errorf("the reply has no credentials: %w", explain.ErrNotSTS)
	}
	c := out.Credentials
	creds := aws.Credentials{
		AccessKeyID:     aws.ToString(c.AccessKeyId),
		SecretAccessKey: aws.ToString(c.SecretAccessKey),
		SessionToken:    aws.ToString(c.SessionToken),
		Source:          stscreds.WebIdentityProviderName,
		CanExpire:       true,
	}
	switch {
	case !creds.HasKeys():
		return aws.Credentials{}, fmt.Errorf("the reply has credentials without keys: %w", explain.ErrNotSTS)
	case c.Expiration == nil || c.Expiration.IsZero():
		return aws.Credentials{}, fmt.Errorf("the reply has credentials without an expiry: %w", explain.ErrNotSTS)
	}
	creds.Expires = recorded.expiry(*c.Expiration, received)
	if left := creds.Expires.Sub(received.Round(0)); left < schedule.MinLifetime {
		return aws.Credentials{}, fmt.Errorf("the reply has credentials that expire at %s, which is %v from now: %w", c.Expiration.UTC().Format(time.RFC3339), left.Round(time.Second), explain.ErrClock)
	}
	if user := out.AssumedRoleUser; user != nil {
		if parsed, err := arn.Parse(aws.ToString(user.Arn)); err == nil {
			creds.AccountID = parsed.AccountID
		}
	}
	return creds, nil
}
