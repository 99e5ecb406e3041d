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

// Claims of a web identity token that contain a session's tags and source identity.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp
const (
	tagsClaim           = "https://aws.amazon.com/tags"
	sourceIdentityClaim = "https://aws.amazon.com/source_identity"
)

// clockTolerance is how far the clock of a token's issuer may be ahead. AWS does not
// document its own tolerance.
const clockTolerance = 15 * time.Minute

// webIdentityResult is the result of AssumeRoleWithWebIdentity.
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
		Provider:         provider, // documented as the issuer's URL; AWS sends the ARN
		PackedPolicySize: packed,
		SourceIdentity:   requested.sourceIdentity,
	}, nil
}

// verify checks the token against the OIDC provider of the role's account, in AWS's order.
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
		return notYetValid().withReason("the token is valid from %s, and here it is %s", notBefore.UTC(), now.UTC())
	}
	if q.audience(account) == "" {
		return wrongAudience().withReason("the token's audience is %q, the provider's client IDs are %q", id.audiences(), clientIDs)
	}
	return nil
}

// audience returns the first of the token's audiences that is a client ID of the account's
// OIDC provider, or "".
func (q query) audience(account string) string {
	clientIDs, _ := q.cluster.clientIDs(account, q.identity.text("iss"))
	for _, audience := range q.identity.audiences() {
		if slices.Contains(clientIDs, audience) {
			return audience
		}
	}
	return ""
}

func (i identity) audiences() []string { return values(i.claims["aud"]) }

// values returns the values of a claim that is a string, a number, a boolean or a list of
// them.
func values(claim any) []string {
	switch c := claim.(type) {
	case string:
		return []string{c}
	case bool:
		return []string{strconv.FormatBool(c)}
	case float64:
		return []string{strconv.FormatFloat(c, 'f', -1, 64)}
	case []any:
		var out []string
		for _, element := range c {
			out = append(out, values(element)...)
		}
		return out
	}
	return nil
}

// sessionFromIdentity returns the session that a web identity requests.
func (q query) sessionFromIdentity(role *Role) *session {
	tags, transitive := q.identity.tags()
	return &session{
		role:           role,
		name:           q.form.Get("RoleSessionName"),
		sourceIdentity: q.identity.text(sourceIdentityClaim),
		tags:           tags,
		transitive:     transitive,
		provider:       q.identity.text("iss"),
		claims:         q.identity.claimContext(),
	}
}

// tags returns the session tags of the token and the keys of those that are transitive. They
// are in a nested claim or, from identity providers without nested claims, in one claim each.
func (i identity) tags() (tags map[string][]string, transitive []string) {
	tags = map[string][]string{}
	nested, _ := i.claims[tagsClaim].(map[string]any)
	principal, _ := nested["principal_tags"].(map[string]any)
	for key, value := range principal {
		tags[key] = values(value)
	}
	for claim, value := range i.claims {
		if key, ok := strings.CutPrefix(claim, tagsClaim+"/principal_tags/"); ok {
			tags[key] = values(value)
		}
	}
	return tags, slices.Concat(values(nested["transitive_tag_keys"]), values(i.claims[tagsClaim+"/transitive_tag_keys"]))
}

// checkClaims rejects session tags and a source identity of the token that would be rejected
// as parameters of AssumeRole.
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
	if _, ok := q.identity.claims[sourceIdentityClaim]; ok {
		parameters.form.Set("SourceIdentity", requested.sourceIdentity)
		_, constraints := constraintsOf(assumeRole)
		v.check(parameters, "SourceIdentity", constraints["SourceIdentity"])
	}
	if r := v.rejection(); r != nil {
		return badToken(r.message) // AWS's text is not publicly known
	}
	return nil
}

// identityRequest returns the request that the trust policy is evaluated for: what the token
// and the session parameters add to it, and the keys of every request.
func (q query) identityRequest(requested *session, provider string) trustpolicy.Request {
	r := trustpolicy.WebIdentity{
		Provider:       provider,
		Issuer:         q.identity.text("iss"),
		Subject:        q.identity.text("sub"),
		Audiences:      q.identity.audiences(),
		Methods:        values(q.identity.claims["amr"]),
		SessionName:    requested.name,
		SourceIdentity: requested.sourceIdentity,
		Tags:           requested.tags,
		TransitiveTags: requested.transitive,
	}.Request()
	maps.Copy(r.Context, q.requestContext())
	return r
}
