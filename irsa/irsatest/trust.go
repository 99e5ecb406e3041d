package irsatest

import (
	"encoding/json"
	"strings"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

// Principal is whom a role can [Trust]: a [ServiceAccount] or another [Role].
type Principal interface {
	trustStatement(role *Role) statement
}

// Trust writes the role's trust policy: a service account may assume it with its web
// identity token, as by a policy with StringEquals on the token's subject and
// on the audience "sts.amazonaws.com"; another role may assume it with
// sts:AssumeRole. For anything else write the policy: see [TrustPolicy].
func Trust(principals ...Principal) RoleOption {
	return func(o *roleOptions) { o.trusted = append(o.trusted, principals...) }
}

// TrustPolicy gives the role a trust policy in IAM's JSON, such as the one that the
// role has in AWS. It is evaluated as AWS does; a policy that IAM would refuse, or
// that has a part which the kit does not know, ends the test. A test of your own
// policy sets Options.AccountID and Options.IssuerURL to what the policy names.
//
// The kit knows Effect, Principal (AWS, Federated, Service), Action, NotAction, and
// Condition with the operators for strings, ARNs, numbers, Bool and Null, with
// ForAnyValue:, ForAllValues: and IfExists. Of a token conditions see what AWS shows
// them: <issuer without https://>:sub, :aud and :amr. The other keys are those of
// sessions (sts:RoleSessionName, sts:ExternalId, sts:SourceIdentity,
// sts:TransitiveTagKeys, aws:RequestTag/<key>, aws:TagKeys), of the caller of AssumeRole
// (aws:PrincipalArn, aws:PrincipalAccount, aws:PrincipalType, aws:PrincipalTag/<key>,
// aws:userid, aws:SourceIdentity, aws:FederatedProvider) and of every request
// (aws:RequestedRegion, aws:SecureTransport, aws:PrincipalIsAWSService,
// aws:ViaAWSService). Those of IAM users and of services' requests, such as
// aws:MultiFactorAuthPresent, are absent. Any other key of AWS ends the test.
func TrustPolicy(document string) RoleOption {
	return func(o *roleOptions) { o.document = &document }
}

// A statement of a trust policy that Trust writes.
type statement struct {
	Effect    string
	Principal map[string]string
	Action    string
	Condition map[string]map[string]string `json:",omitempty"`
}

func (sa *ServiceAccount) trustStatement(role *Role) statement {
	issuer := withoutScheme(sa.issuer.url)
	return statement{
		Effect:    "Allow",
		Principal: map[string]string{"Federated": role.cluster.providerARN(role.account, sa.issuer.url)},
		Action:    "sts:AssumeRoleWithWebIdentity",
		Condition: map[string]map[string]string{"StringEquals": {
			issuer + ":aud": defaultAudience,
			issuer + ":sub": sa.Subject(),
		}},
	}
}

func (r *Role) trustStatement(*Role) statement {
	return statement{
		Effect:    "Allow",
		Principal: map[string]string{"AWS": r.arn},
		Action:    "sts:AssumeRole",
	}
}

// trustDocument writes the trust policy that lets these principals assume the role.
func (r *Role) trustDocument(principals []Principal) string {
	statements := make([]statement, 0, len(principals))
	for _, p := range principals {
		statements = append(statements, p.trustStatement(r))
	}
	document, err := json.MarshalIndent(map[string]any{"Version": "2012-10-17", "Statement": statements}, "", "  ")
	r.cluster.check(err)
	return string(document)
}

// deniedAction asks the role's trust policy about each of the actions, and returns the
// first that it does not allow, with the reason; "" if it allows all.
func (r *Role) deniedAction(principal trustpolicy.Principal, context map[string][]string, actions []string) (denied, reason string) {
	r.mu.Lock()
	policy := r.policy
	r.mu.Unlock()
	if policy == nil {
		return actions[0], "the role has no trust policy"
	}
	for _, action := range actions {
		decision := policy.Evaluate(trustpolicy.Request{Action: action, Principal: principal, Context: context})
		if !decision.Allowed {
			return action, "trust policy: " + decision.String()
		}
	}
	return "", ""
}

func withoutScheme(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	return rest
}
