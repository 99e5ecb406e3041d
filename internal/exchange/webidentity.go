package exchange

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unique"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/internal/schedule"
	"github.com/irsakit/irsakit/tokenfile"
)

// State is the state shared by the exchanges of one role. Its fields are nil until the first
// exchange.
type State struct {
	SessionName atomic.Pointer[unique.Handle[string]] // usually shared by many roles of a Pool, and so interned
	UsedToken   atomic.Pointer[tokenfile.Token]       // the token of the newest request
	NewestToken atomic.Pointer[tokenfile.Token]

	NeverRenewed atomic.Bool // the file of the last rejected token is not a link into a projected volume
}

// WebIdentity exchanges tokens for credentials of one role.
type WebIdentity struct {
	*State
	Config *config.Config
	Client *Client
}

// Retrieve makes one request to STS with the current token. If STS rejects the token and the source
// already provides another one, Retrieve makes a second request with the new one. The error is an
// *explain.TokenError if there is no token.
func (x *WebIdentity) Retrieve(ctx context.Context) (aws.Credentials, error) {
	token, err := x.token(ctx)
	if err != nil {
		return aws.Credentials{}, TokenError(x.Config, err)
	}
	creds, err := x.assume(ctx, token)
	if err == nil || !explain.IsTokenRejection(err) {
		return creds, err
	}
	x.NeverRenewed.Store(isRegularFile(x.Config.TokenFile))
	newer, readErr := x.token(ctx)
	if readErr != nil || newer.Reveal() == token.Reveal() {
		return creds, err
	}
	return x.assume(ctx, newer)
}

// token calls the token source. It redacts the source's error, which can contain tokens that the
// source returned before.
func (x *WebIdentity) token(ctx context.Context) (token tokenfile.Token, err error) {
	defer func() {
		if err != nil {
			err = append(secretsOf(x.UsedToken.Load()), secretsOf(x.NewestToken.Load())...).redactError(err)
		}
	}()
	return CallTokenSource(ctx, x.Config)
}

// CallTokenSource calls the token source of a role. A panic in it, or in a method of its error, is an error
// without tokens. If the error is a nil pointer, each of its methods can panic.
func CallTokenSource(ctx context.Context, c *config.Config) (token tokenfile.Token, err error) {
	defer secrets{}.recoverPanic("the token source", &err)
	token, err = c.Token.Token(ctx)
	switch {
	case err != nil:
		_, _ = err.Error(), errors.Is(err, tokenfile.ErrMalformed) // Is also calls Unwrap
	case token == tokenfile.Token{}:
		err = fmt.Errorf("the token source returned an empty token: %w", tokenfile.ErrMalformed)
	}
	return token, err
}

func (x *WebIdentity) assume(ctx context.Context, token tokenfile.Token) (creds aws.Credentials, err error) {
	x.UsedToken.Store(&token)
	if last := x.NewestToken.Load(); last == nil || !token.Claims().IssuedAt.Before(last.Claims().IssuedAt) {
		x.NewestToken.Store(&token)
	}
	text := token.Reveal()
	secrets := secretsIn(text)
	defer secrets.recoverPanic("the STS client", &err)
	recorded := newResponse(x.Config.Lifetime(), secrets)
	out, err := x.Client.api.AssumeRoleWithWebIdentity(ctx, x.input(text, token.Claims()), x.Client.singleRequest(x.Config, recorded))
	received := time.Now()
	if err != nil {
		return aws.Credentials{}, x.Client.failure(recorded, err)
	}
	creds, err = credentialsOf(out, recorded, received)
	if err != nil {
		return aws.Credentials{}, recorded.unusable(err)
	}
	account, err := checkAssumed(x.Config.RoleARN, out.AssumedRoleUser)
	if err != nil {
		return aws.Credentials{}, recorded.unusable(err)
	}
	creds.AccountID = strings.Clone(account) // does not keep the ARN in memory
	return creds, nil
}

func (x *WebIdentity) input(token string, claims tokenfile.Claims) *sts.AssumeRoleWithWebIdentityInput {
	c := x.Config
	input := &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(c.RoleARN),
		RoleSessionName:  aws.String(x.SessionNameFor(claims)),
		WebIdentityToken: aws.String(token),
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

// SessionNameFor returns the session name, which stays the same for the lifetime of the State. The
// claims of the first token determine it if it is not configured.
func (x *WebIdentity) SessionNameFor(claims tokenfile.Claims) string {
	if x.Config.SessionName != "" {
		return x.Config.SessionName
	}
	if name := x.SessionName.Load(); name != nil {
		return name.Value()
	}
	name := unique.Make(config.SessionName(claims))
	x.SessionName.CompareAndSwap(nil, &name)
	return x.SessionName.Load().Value()
}

// credentialsOf returns the credentials in STS's response, with their expiry on the local clock.
// The response was complete at received.
func credentialsOf(out *sts.AssumeRoleWithWebIdentityOutput, recorded *response, received time.Time) (aws.Credentials, error) {
	if out == nil || out.Credentials == nil {
		return aws.Credentials{}, fmt.Errorf("the response contains no credentials: %w", explain.ErrNotSTS)
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
		return aws.Credentials{}, fmt.Errorf("the response contains credentials without keys: %w", explain.ErrNotSTS)
	case !canBeSent(creds.AccessKeyID, creds.SecretAccessKey, creds.SessionToken):
		return aws.Credentials{}, errUnusable
	case c.Expiration == nil || c.Expiration.IsZero():
		return aws.Credentials{}, fmt.Errorf("the response contains credentials without an expiry: %w", explain.ErrNotSTS)
	}
	creds.Expires = recorded.expiry(*c.Expiration, received)
	if left := creds.Expires.Sub(received.Round(0)); left < schedule.MinLifetime {
		return aws.Credentials{}, fmt.Errorf("the credentials in the response expire at %s: %w", c.Expiration.UTC().Format(time.RFC3339), explain.ErrClock)
	}
	return creds, nil
}

// errUnusable is the error of keys with line breaks or other characters that no header can contain, which
// a gateway can add. They would fail in each request, but no service would reject them.
var errUnusable = fmt.Errorf("the response contains keys with invalid characters: %w", explain.ErrNotSTS)

// canBeSent reports whether keys have only visible ASCII characters.
func canBeSent(keys ...string) bool {
	for _, key := range keys {
		for i := range len(key) {
			if key[i] <= ' ' || key[i] > '~' {
				return false
			}
		}
	}
	return true
}
