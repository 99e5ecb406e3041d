package irsatest

import (
	"cmp"
	"context"
	"encoding/xml"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

// clockTolerance is how far ahead the clock of a token's issuer may be. AWS does not document its
// tolerance.
const clockTolerance = 15 * time.Minute

type webIdentityResult struct {
	XMLName          xml.Name        `xml:"AssumeRoleWithWebIdentityResult"`
	Subject          string          `xml:"SubjectFromWebIdentityToken"`
	Audience         string          `xml:"Audience"`
	AssumedRoleUser  assumedRoleUser `xml:"AssumedRoleUser"`
	Credentials      *credentials    `xml:"Credentials"`
	Provider         string          `xml:"Provider"`
	PackedPolicySize int             `xml:"PackedPolicySize,omitempty"` // percent; only with a policy
	SourceIdentity   string          `xml:"SourceIdentity,omitempty"`
}

// assumeRoleWithWebIdentity checks a request in AWS's order and issues a session.
func (s *STS) assumeRoleWithWebIdentity(ctx context.Context, q query, c pendingCall) (*webIdentityResult, *rejection) {
	if r := q.checkParameters(); r != nil {
		return nil, r
	}
	roleARN := q.form.Get("RoleArn")
	account := strings.Split(roleARN, ":")[4]
	if r := s.verify(ctx, q, account, c.now()); r != nil {
		return nil, r
	}
	role := s.cluster.role(roleARN)
	if role == nil {
		return nil, notAuthorizedWebIdentity("sts:AssumeRoleWithWebIdentity").withReason("there is no role %s", roleARN)
	}
	requested := q.sessionFromIdentity(role)
	if r := q.checkClaims(requested); r != nil {
		return nil, r
	}
	if r := q.checkPackedSize(requested.tags); r != nil {
		return nil, r
	}
	_, _, packed := q.packedSize(requested.tags)
	provider := s.cluster.providerARN(account, q.identity.text("iss"))
	if d := role.denied(q.identityRequest(requested, provider), requested.actions("sts:AssumeRoleWithWebIdentity")); d != nil {
		return nil, notAuthorizedWebIdentity(d.action).withReason("%s", d.reason)
	}
	if q.duration() > role.maxSession {
		return nil, durationTooLong()
	}
	return &webIdentityResult{
		Subject:          q.identity.text("sub"),
		Audience:         q.audience(account),
		AssumedRoleUser:  requested.user(),
		Credentials:      s.issue(requested, c.expiry(q.duration())),
		Provider:         provider, // documented as the issuer's URL, but AWS sends the ARN
		PackedPolicySize: packed,
		SourceIdentity:   requested.sourceIdentity,
	}, nil
}

// verify checks the token against the OIDC provider in the role's account, in AWS's order.
func (s *STS) verify(ctx context.Context, q query, account string, now time.Time) *rejection {
	id := q.identity
	if id.claims == nil {
		return noJWT()
	}
	for _, name := range []string{"iss", "sub", "aud", "exp", "iat"} {
		if id.claims[name] == nil {
			return missingClaim(name)
		}
	}
	issuer := id.text("iss")
	clientIDs, ok := s.cluster.clientIDs(account, issuer)
	if !ok {
		return noProvider(issuer).withReason("account %s has no OIDC provider for %s", account, issuer)
	}
	keys, err := s.cluster.publishedKeys(ctx, issuer, id.keyID)
	if err != nil {
		return noVerificationKey().withReason("%v", err)
	}
	if err := id.verify(issuer, keys); err != nil {
		return badTokenSignature().withReason("%v", err)
	}
	if expiry := id.time("exp"); !now.Before(expiry) {
		return expiredToken(now, expiry)
	}
	if notBefore := id.time("nbf"); now.Before(notBefore.Add(-clockTolerance)) {
		r := notYetValid().withReason("the token is not valid before %s; the time at STS is %s", notBefore.UTC(), now.UTC())
		if notBefore.Sub(now) > 365*24*time.Hour {
			r.reason += "; create the Cluster inside the synctest bubble"
		}
		return r
	}
	if q.audience(account) == "" {
		return wrongAudience().withReason("the token's audience is %q, the provider's client IDs are %q", id.audiences(), clientIDs)
	}
	return nil
}

// audience returns the first audience of the token that is a client ID of the account's OIDC
// provider, or "".
func (q query) audience(account string) string {
	clientIDs, _ := q.cluster.clientIDs(account, q.identity.text("iss"))
	for _, audience := range q.identity.audiences() {
		if slices.Contains(clientIDs, audience) {
			return audience
		}
	}
	return ""
}

func (i identity) audiences() []string { return trustpolicy.Values(i.claims["aud"]) }

// sessionFromIdentity returns the session requested by a web identity.
func (q query) sessionFromIdentity(role *Role) *session {
	var w trustpolicy.WebIdentity
	w.SetClaims(q.identity.claims)
	return &session{
		role:           role,
		name:           q.form.Get("RoleSessionName"),
		sourceIdentity: w.SourceIdentity,
		tags:           w.Tags,
		transitive:     w.TransitiveTags,
		provider:       q.identity.text("iss"),
		claims:         q.identity.claimContext(),
	}
}

// checkClaims checks the session tags and source identity in the token as if they were parameters
// of AssumeRole.
func (q query) checkClaims(requested *session) *rejection {
	parameters := query{form: url.Values{}}
	for n, key := range slices.Sorted(maps.Keys(requested.tags)) {
		member := "Tags.member." + strconv.Itoa(n+1)
		parameters.form.Set(member+".Key", key)
		if values := requested.tags[key]; len(values) == 1 {
			parameters.form.Set(member+".Value", values[0])
		}
	}
	var v violations
	v.checkTags(parameters)
	if r := cmp.Or(v.rejection(), parameters.checkTagKeys(), requested.checkTransitiveTags()); r != nil {
		return invalid("Unable to validate tags").withReason("%s", r.message)
	}
	if _, ok := q.identity.claims[trustpolicy.SourceIdentityClaim]; ok {
		parameters.form.Set("SourceIdentity", requested.sourceIdentity)
		_, constraints := constraintsOf(assumeRole)
		v.check(parameters, "SourceIdentity", constraints["SourceIdentity"])
	}
	if r := v.rejection(); r != nil {
		return badToken(r.message) // AWS's message is not publicly known
	}
	return nil
}

// identityRequest returns the request for which the trust policy is evaluated. It contains the
// condition keys for the token, the session parameters and every request.
func (q query) identityRequest(requested *session, provider string) trustpolicy.Request {
	w := trustpolicy.WebIdentity{
		Provider:    provider,
		Issuer:      q.identity.text("iss"),
		Subject:     q.identity.text("sub"),
		Audiences:   q.identity.audiences(),
		SessionName: requested.name,
	}
	w.SetClaims(q.identity.claims)
	r := w.Request()
	maps.Copy(r.Context, q.requestContext())
	return r
}
