package irsa_test

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// trustStatement is a statement of a trust policy.
type trustStatement struct {
	Effect    string
	Principal map[string]string
	Action    []string
	Condition map[string]map[string]string `json:",omitempty"`
}

// trust sets the trust policy of a role to a policy that allows what the site needs, with some
// changes.
func (s *site) trust(r *irsatest.Role, changes ...func(*trustStatement)) {
	var t trustStatement
	if r == s.first || s.first == nil {
		t = s.trustToken(r)
	} else {
		t = s.trustRole()
	}
	for _, change := range changes {
		change(&t)
	}
	text, err := json.Marshal(t)
	require.NoError(s, err)
	s.setStatements(r, text)
}

// disallow removes an action from the trust policy of a role.
func (s *site) disallow(r *irsatest.Role, action string) {
	s.trust(r, func(t *trustStatement) { t.Action[slices.Index(t.Action, action)] = "sts:AssumeRoleWithSAML" })
}

func (s *site) setStatements(r *irsatest.Role, statements ...json.RawMessage) {
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	require.NoError(s, err)
	r.SetTrustPolicy(string(text))
}

// addStatement adds a statement to the trust policy of a role.
func (s *site) addStatement(r *irsatest.Role, statement string) {
	var document struct{ Statement []json.RawMessage }
	if text := r.TrustPolicy(); text != "" {
		require.NoError(s, json.Unmarshal([]byte(text), &document))
	}
	s.setStatements(r, append(document.Statement, json.RawMessage(statement))...)
}

// trustToken returns the statement that lets the pod's tokens assume a role.
func (s *site) trustToken(r *irsatest.Role) trustStatement {
	t := trustStatement{
		Effect: "Allow", Principal: map[string]string{"Federated": providerARN(r, s.kit.Issuer)}, Action: []string{"sts:AssumeRoleWithWebIdentity"},
		Condition: map[string]map[string]string{"StringEquals": {
			s.claim("sub"): s.sa.Subject(),
			s.claim("aud"): "sts.amazonaws.com",
		}},
	}
	if s.claims[tagsClaim] != nil {
		t.Action = append(t.Action, "sts:TagSession")
	}
	if s.claims[sourceIdentityClaim] != nil {
		t.Action = append(t.Action, "sts:SetSourceIdentity")
	}
	return t
}

// trustRole returns the statement that lets the pod's role assume the next one.
func (s *site) trustRole() trustStatement {
	t := trustStatement{Effect: "Allow", Principal: map[string]string{"AWS": s.first.ARN()}, Action: []string{"sts:AssumeRole"}}
	if len(s.chain.Tags) > 0 || s.inheritsTags() {
		t.Action = append(t.Action, "sts:TagSession")
	}
	if s.chain.SourceIdentity != nil || s.claims[sourceIdentityClaim] != nil {
		t.Action = append(t.Action, "sts:SetSourceIdentity")
	}
	if s.chain.ExternalID != nil {
		t.Condition = map[string]map[string]string{"StringEquals": {"sts:ExternalId": aws.ToString(s.chain.ExternalID)}}
	}
	return t
}

// inheritsTags reports whether the sessions of a role chain inherit tags from the token.
func (s *site) inheritsTags() bool {
	tags, _ := s.claims[tagsClaim].(map[string]any)
	return tags["transitive_tag_keys"] != nil
}

// claim returns the condition key of a claim.
func (s *site) claim(name string) string {
	return strings.TrimPrefix(s.kit.Issuer.URL(), "https://") + ":" + name
}

// providerARN returns the ARN of the issuer's OIDC provider in the account of a role.
func providerARN(r *irsatest.Role, i *irsatest.Issuer) string {
	before, _, _ := strings.Cut(r.ARN(), ":role/")
	return before + ":oidc-provider/" + strings.TrimPrefix(i.URL(), "https://")
}

func accountOf(r *irsatest.Role) string { return strings.Split(r.ARN(), ":")[4] }
