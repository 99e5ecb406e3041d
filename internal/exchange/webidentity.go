package exchange

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unique"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/tokenfile"
)

// State is shared by all exchanges of one role. Its pointers are nil until the first exchange.
type State struct {
	SessionName atomic.Pointer[unique.Handle[string]] // interned, because many roles of a Pool usually share it
	UsedToken   atomic.Pointer[tokenfile.Token]       // the token of the latest request
	NewestToken atomic.Pointer[tokenfile.Token]

	NeverRenewed atomic.Bool // the file of the last rejected token is not a link into a projected volume
	ForeignDate  atomic.Bool // the Date of the last successful response was not set by STS

	issued atomic.Pointer[issuedKeys] // in the last response; a pointer, so that printers show only its address
}

// issuedKeys are the secret key and the session token in a response.
type issuedKeys [2]string

// setIssued records the keys in a response.
func (s *State) setIssued(secretKey, sessionToken string) {
	s.issued.Store(&issuedKeys{secretKey, sessionToken})
}

// lastIssued returns the keys in the last response, if any. A later response can repeat them.
func (s *State) lastIssued() secrets {
	if keys := s.issued.Load(); keys != nil {
		return keys[:]
	}
	return nil
}

// WebIdentity exchanges tokens for the credentials of one role.
type WebIdentity struct {
	*State
	Config *config.Config
	Client *Client
}

// Retrieve makes a single request to STS with the current token. If STS rejects the token and the
// source already provides a different one, Retrieve makes a second request with it. If there is no
// token, the error is an *explain.TokenError.
func (x *WebIdentity) Retrieve(ctx context.Context) (aws.Credentials, error) {
	growStack()
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

// token calls the token source. It redacts the source's error, which can contain tokens returned
// earlier.
func (x *WebIdentity) token(ctx context.Context) (token tokenfile.Token, err error) {
	defer func() {
		if err != nil {
			err = append(secretsOf(x.UsedToken.Load()), secretsOf(x.NewestToken.Load())...).redactError(err)
		}
	}()
	return CallTokenSource(ctx, x.Config)
}

// CallTokenSource calls the token source of a role. It returns an error if the source returns the
// zero Token, or if the source or a method of its error panics. The error contains no tokens.
func CallTokenSource(ctx context.Context, c *config.Config) (token tokenfile.Token, err error) {
	defer secrets{}.recoverPanic("the token source", &err)
	token, err = c.Token.Token(ctx)
	switch {
	case err != nil:
		_ = errors.Is(err, tokenfile.ErrMalformed) // calls Is and Unwrap, which may panic
	case token == tokenfile.Token{}:
		err = fmt.Errorf("%w: the token source returned an empty token", tokenfile.ErrMalformed)
	}
	return token, RedactTokens(err)
}

func (x *WebIdentity) assume(ctx context.Context, token tokenfile.Token) (creds aws.Credentials, err error) {
	x.UsedToken.Store(&token)
	if last := x.NewestToken.Load(); last == nil || !token.Claims().IssuedAt.Before(last.Claims().IssuedAt) {
		x.NewestToken.Store(&token)
	}
	text := token.Reveal()
	secrets := append(secretsIn(text), x.lastIssued()...)
	defer secrets.recoverPanic("the STS client", &err)
	recorded := newRecording(x.Config, x.Config.Lifetime(), secrets)
	out, err := x.Client.api.AssumeRoleWithWebIdentity(ctx, x.input(text, token.Claims()), x.Client.singleRequest(recorded))
	received := time.Now()
	if err != nil {
		return aws.Credentials{}, x.Client.failure(recorded.last(), err)
	}
	if out == nil {
		return aws.Credentials{}, errNoResult
	}
	r := recorded.with(out.Credentials)
	x.ForeignDate.Store(!r.date.IsZero() && !r.isDateOfSTS())
	creds, err = r.credentials(x.Config.RoleARN, out.Credentials, out.AssumedRoleUser, received)
	if err != nil {
		return aws.Credentials{}, r.unusable(err)
	}
	x.setIssued(creds.SecretAccessKey, creds.SessionToken)
	creds.Source = stscreds.WebIdentityProviderName
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

// SessionNameFor returns the session name, which stays the same for the lifetime of the State. Unless
// configured, it is derived from the claims of the first token.
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
