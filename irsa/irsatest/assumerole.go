package irsatest

import (
	"encoding/xml"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

type assumeRoleResult struct {
	XMLName          xml.Name        `xml:"AssumeRoleResult"`
	AssumedRoleUser  assumedRoleUser `xml:"AssumedRoleUser"`
	Credentials      *credentials    `xml:"Credentials"`
	PackedPolicySize int             `xml:"PackedPolicySize,omitempty"` // percent; only with a policy or tags
	SourceIdentity   string          `xml:"SourceIdentity,omitempty"`
}

type callerIdentityResult struct {
	XMLName xml.Name `xml:"GetCallerIdentityResult"`
	ARN     string   `xml:"Arn"`
	UserID  string   `xml:"UserId"`
	Account string   `xml:"Account"`
}

// assumeRole assumes a role with the session that signed the request.
func (s *STS) assumeRole(q query, c pendingCall, caller *session) (*assumeRoleResult, *rejection) {
	if r := q.checkParameters(); r != nil {
		return nil, r
	}
	if q.form.Has("SerialNumber") || q.form.Has("TokenCode") {
		return nil, mfaFailed().withReason("the caller is a role, and only users have MFA devices")
	}
	roleARN := q.form.Get("RoleArn")
	role := s.cluster.role(roleARN)
	if role == nil {
		return nil, notAuthorized(caller.user().ARN, "sts:AssumeRole", roleARN).withReason("there is no role %s", roleARN)
	}
	requested, r := q.sessionFrom(caller, role)
	if r != nil {
		return nil, r
	}
	if r := q.checkPackedSize(requested.tags); r != nil {
		return nil, r
	}
	_, _, packed := q.packedSize(requested.tags)
	request := trustpolicy.Request{
		Principal: trustpolicy.Principal{ARN: caller.role.arn, Session: caller.user().ARN},
		Context:   q.contextFrom(requested, caller),
	}
	if d := role.denied(request, requested.actions("sts:AssumeRole")); d != nil {
		r := notAuthorized(caller.user().ARN, d.action, roleARN).withReason("%s", d.reason)
		if d.explicit && caller.role.account == role.account {
			r.message += explicitTrustDeny
		}
		return nil, r
	}
	// Every session in the kit belongs to a role, so every AssumeRole call is role chaining.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
	if q.duration() > time.Hour { // every role allows one hour
		return nil, chainDurationTooLong()
	}
	return &assumeRoleResult{
		AssumedRoleUser:  requested.user(),
		Credentials:      s.issue(requested, c.expiry(q.duration())),
		PackedPolicySize: packed,
		SourceIdentity:   requested.sourceIdentity,
	}, nil
}

// sessionFrom returns the session that the caller requests. It inherits the transitive tags and the
// source identity of the caller's own session.
func (q query) sessionFrom(caller *session, role *Role) (*session, *rejection) {
	requested := &session{
		role:           role,
		name:           q.form.Get("RoleSessionName"),
		sourceIdentity: q.form.Get("SourceIdentity"),
		externalID:     q.form.Get("ExternalId"),
		tags:           q.tags(),
		transitive:     q.list("TransitiveTagKeys", ""),
	}
	switch {
	case requested.sourceIdentity == "":
		requested.sourceIdentity = caller.sourceIdentity
	case caller.sourceIdentity != "" && requested.sourceIdentity != caller.sourceIdentity:
		// A role chain cannot change the source identity. The message is the kit's own.
		return nil, notAuthorized(caller.user().ARN, "sts:SetSourceIdentity", role.arn).
			withReason("the caller's source identity is %q and cannot be changed", caller.sourceIdentity)
	}
	if r := requested.checkTransitiveTags(); r != nil {
		return nil, r
	}
	for key := range q.tags() {
		// Tag keys are case-insensitive.
		// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_know
		if slices.ContainsFunc(caller.transitive, func(inherited string) bool { return strings.EqualFold(key, inherited) }) {
			return nil, invalid("One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
		}
	}
	for _, key := range caller.transitive {
		requested.tags[key] = caller.tags[key]
		requested.transitive = append(requested.transitive, key)
	}
	return requested, nil
}

// contextFrom returns the condition keys for a session requested by caller. Keys of a web identity
// are included only if caller is the web identity's own session. Later sessions in a role chain do
// not have them.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#cross-condition-keys-wif
func (q query) contextFrom(requested, caller *session) map[string][]string {
	out := q.requestContext()
	maps.Copy(out, requested.context())
	maps.Copy(out, caller.claims)
	out["aws:PrincipalArn"] = []string{caller.role.arn}
	out["aws:PrincipalAccount"] = []string{caller.role.account}
	out["aws:PrincipalType"] = []string{"AssumedRole"}
	out["aws:userid"] = []string{caller.user().ID}
	if caller.sourceIdentity != "" {
		out["aws:SourceIdentity"] = []string{caller.sourceIdentity}
	}
	if caller.provider != "" {
		out["aws:FederatedProvider"] = []string{caller.role.cluster.providerARN(caller.role.account, caller.provider)}
	}
	for key, value := range caller.tags {
		out["aws:PrincipalTag/"+key] = value
	}
	return out
}

// callerIdentity returns the identity of the session that signed the request.
func callerIdentity(caller *session) *callerIdentityResult {
	user := caller.user()
	return &callerIdentityResult{ARN: user.ARN, UserID: user.ID, Account: caller.role.account}
}
