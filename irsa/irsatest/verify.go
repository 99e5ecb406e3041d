package irsatest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// A provider is an IAM OIDC provider of the account.
type provider struct {
	clientIDs []string
	verifier  *oidc.IDTokenVerifier // nil until the issuer's first token
}

// register makes the issuer an OIDC provider of the account.
func (s *STS) register(issuer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.providers[issuer] = &provider{clientIDs: []string{defaultAudience}}
}

// assumeRoleWithWebIdentity checks a request in AWS's order and grants a session.
func (s *STS) assumeRoleWithWebIdentity(ctx context.Context, q query, v visit) (session, *refusal) {
	if r := q.checkAction(); r != nil {
		return session{}, r
	}
	if r := q.checkParameters(); r != nil {
		return session{}, r
	}
	token, r := s.verify(ctx, q, v.now())
	if r != nil {
		return session{}, r
	}
	role := s.cluster.role(q.form.Get("RoleArn"))
	if role == nil || !role.trusted[token.Subject] || !slices.Contains(token.Audience, defaultAudience) {
		return session{}, notAuthorized()
	}
	if q.duration() > role.maxSession {
		return session{}, invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	return s.grant(q, v, role, token), nil
}

// verify checks the token in AWS's order.
func (s *STS) verify(ctx context.Context, q query, now time.Time) (*oidc.IDToken, *refusal) {
	if q.identity == nil {
		// Known only from public reports.
		return nil, badToken("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	clientIDs, verifier, r := s.provider(ctx, q.identity.Issuer)
	if r != nil {
		return nil, r
	}
	token, err := verifier.Verify(ctx, q.form.Get("WebIdentityToken"))
	if err != nil {
		// AWS's text for a bad signature is not known publicly.
		return nil, badToken("The signature of the token is invalid")
	}
	if expiry := token.Expiry; !now.Before(expiry) {
		// Known only from public reports; before 2023 without the last space.
		return nil, &refusal{http.StatusBadRequest, "ExpiredTokenException",
			fmt.Sprintf("Token expired: current date/time %d must be before the expiration date/time %d", now.Unix(), expiry.Unix())}
	}
	if !slices.ContainsFunc(token.Audience, func(a string) bool { return slices.Contains(clientIDs, a) }) {
		return nil, badToken("Incorrect token audience") // known only from public reports
	}
	return token, nil
}

// provider finds an issuer's registration, and discovers its keys at first.
func (s *STS) provider(ctx context.Context, issuer string) ([]string, *oidc.IDTokenVerifier, *refusal) {
	s.mu.Lock()
	p, ok := s.providers[issuer]
	var known provider
	if ok {
		known = *p
	}
	s.mu.Unlock()
	if !ok {
		// Known only from public reports.
		return nil, nil, badToken("No OpenIDConnect provider found in your account for " + issuer)
	}
	if known.verifier != nil {
		return known.clientIDs, known.verifier, nil
	}
	client := &http.Client{Transport: memory{s.cluster}} // no socket on either transport
	discovered, err := oidc.NewProvider(oidc.ClientContext(ctx, client), issuer)
	if err != nil {
		return nil, nil, noVerificationKey()
	}
	verifier := discovered.Verifier(&oidc.Config{SkipClientIDCheck: true, SkipExpiryCheck: true}) // verify has texts of its own
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.verifier == nil {
		p.verifier = verifier
	}
	return p.clientIDs, p.verifier, nil
}

// grant makes the session.
func (s *STS) grant(q query, v visit, role *Role, token *oidc.IDToken) session {
	name := q.form.Get("RoleSessionName")
	arnStart := "arn:" + partition(s.cluster.region) + ":"
	return session{
		Subject:  token.Subject,
		Audience: defaultAudience,
		AssumedRoleUser: assumedRoleUser{
			ARN: arnStart + "sts::" + s.cluster.accountID + ":assumed-role/" + role.name + "/" + name,
			ID:  role.id + ":" + name,
		},
		Credentials: newCredentials(v.expires(q.duration())),
		// The reference says the issuer's URL; AWS sends the provider's ARN.
		Provider:         arnStart + "iam::" + s.cluster.accountID + ":oidc-provider/" + withoutScheme(token.Issuer),
		PackedPolicySize: q.packedPolicySize(),
	}
}

// expires is the end of a session that was asked to last asked. AWS's has whole seconds.
func (v visit) expires(asked time.Duration) time.Time {
	if v.life > 0 && v.life < asked {
		asked = v.life
	}
	end := v.now().Add(asked)
	if asked%time.Second == 0 {
		end = end.Truncate(time.Second)
	}
	return end
}

func withoutScheme(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	return rest
}

func badToken(message string) *refusal {
	return &refusal{http.StatusBadRequest, "InvalidIdentityToken", message}
}

// noVerificationKey's text is known only from public reports, two spaces included.
func noVerificationKey() *refusal {
	return badToken("Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements")
}

// notAuthorized's text is known only from public reports.
func notAuthorized() *refusal {
	return &refusal{http.StatusForbidden, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"}
}
