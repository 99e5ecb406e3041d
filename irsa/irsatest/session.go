package irsatest

import (
	"slices"
	"time"
)

// A session is a requested or issued session of an assumed role.
type session struct {
	role           *Role
	name           string
	sourceIdentity string
	tags           map[string][]string
	transitive     []string            // keys of the tags that are passed on in a role chain
	provider       string              // issuer of the web identity; "" if assumed by a role
	claims         map[string][]string // the claims of the web identity token, as condition keys
	externalID     string

	secret  string
	token   string
	expires time.Time
}

// assumedRoleUser identifies a session in responses.
type assumedRoleUser struct {
	ARN string `xml:"Arn"`
	ID  string `xml:"AssumedRoleId"`
}

func (s *session) user() assumedRoleUser {
	return assumedRoleUser{
		ARN: "arn:" + partition(s.role.cluster.region) + ":sts::" + s.role.account + ":assumed-role/" + s.role.name + "/" + s.name,
		ID:  s.role.id + ":" + s.name,
	}
}

// actions returns the actions that a trust policy must allow for the session.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
func (s *session) actions(assume string) []string {
	out := []string{assume}
	if len(s.tags) > 0 {
		out = append(out, "sts:TagSession")
	}
	if s.sourceIdentity != "" {
		out = append(out, "sts:SetSourceIdentity")
	}
	return out
}

// checkTransitiveTags rejects transitive keys that are not keys of session tags.
func (s *session) checkTransitiveTags() *rejection {
	for _, key := range s.transitive {
		if _, ok := s.tags[key]; !ok {
			return invalid("The specified transitive tag key must be included in the requested tags.")
		}
	}
	return nil
}

// context returns the condition keys of a requested session.
func (s *session) context() map[string][]string {
	out := map[string][]string{"sts:RoleSessionName": {s.name}}
	if s.externalID != "" {
		out["sts:ExternalId"] = []string{s.externalID}
	}
	if s.sourceIdentity != "" {
		out["sts:SourceIdentity"] = []string{s.sourceIdentity}
	}
	for key, value := range s.tags {
		out["aws:RequestTag/"+key] = value
		out["aws:TagKeys"] = append(out["aws:TagKeys"], key)
	}
	slices.Sort(out["aws:TagKeys"])
	if len(s.transitive) > 0 {
		out["sts:TransitiveTagKeys"] = s.transitive
	}
	return out
}

// issue creates keys for a session and stores the session by its access key ID.
func (s *STS) issue(requested *session, expires time.Time) *credentials {
	keys := newCredentials(expires)
	requested.secret, requested.token, requested.expires = keys.SecretAccessKey, keys.SessionToken, expires
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[keys.AccessKeyID] = requested
	return keys
}

// session returns the session with the given access key ID, or nil if there is none.
func (s *STS) session(accessKeyID string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[accessKeyID]
}
