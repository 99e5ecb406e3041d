package irsatest

import (
	"encoding/json"
	"strings"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

// Principal is a principal that a role can [Trust]: a [ServiceAccount] or another [Role].
type Principal interface {
	trustStatement(role *Role) statement
}

// Trust writes a trust policy that allows the principals to assume the role. A service account may do
// so with its web identity token: StringEquals conditions require its subject and the audience
// "sts.amazonaws.com". Another role may do so with sts:AssumeRole. For any other policy, see
// [TrustPolicy].
func Trust(principals ...Principal) RoleOption {
	return func(o *roleOptions) { o.trusted = append(o.trusted, principals...) }
}

// TrustPolicy sets the role's trust policy to an IAM JSON document, such as the role's policy in AWS.
// The kit evaluates it as AWS does. A policy that IAM would reject, or that contains an element not
// supported by the kit, ends the test. To test your own policy, set Options.AccountID and
// Options.IssuerURL to the account and issuer that it names.
//
// The kit supports Effect, Principal (AWS, Federated, Service), Action, NotAction, and Condition with
// the operators for strings, ARNs, numbers, dates, IP addresses, Bool and Null, with ForAnyValue:,
// ForAllValues: and IfExists. Conditions can use the following keys:
//   - token claims exposed by AWS: <issuer without https://>:sub, :aud and :amr;
//   - session parameters: sts:RoleSessionName, sts:ExternalId, sts:SourceIdentity,
//     sts:TransitiveTagKeys, aws:RequestTag/<key> and aws:TagKeys;
//   - the caller of AssumeRole: aws:PrincipalArn, aws:PrincipalAccount, aws:PrincipalType,
//     aws:PrincipalTag/<key>, aws:userid, aws:SourceIdentity and aws:FederatedProvider;
//   - every request: aws:RequestedRegion, aws:SecureTransport, aws:PrincipalIsAWSService,
//     aws:ViaAWSService and, according to the clock of the STS, aws:CurrentTime and aws:EpochTime.
//
// Keys for IAM users, requests by AWS services and other callers, such as aws:MultiFactorAuthPresent
// and saml:aud, have no value. Any other key that begins with aws:, sts: or iam:, such as
// aws:SourceIp, ends the test. On loopback, where the host does not name a region,
// aws:RequestedRegion is the region of the signature, or the Cluster's for an unsigned request.
//
// If AWS's documentation leaves a case open, such as StringEquals on a key with several values, the
// STS denies access.
func TrustPolicy(document string) RoleOption {
	return func(o *roleOptions) { o.document = &document }
}

// A statement is a statement in a trust policy written by Trust.
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

// trustDocument returns the trust policy that allows the principals to assume the role.
func (r *Role) trustDocument(principals []Principal) string {
	statements := make([]statement, 0, len(principals))
	for _, p := range principals {
		r.cluster.checkOwn(p)
		statements = append(statements, p.trustStatement(r))
	}
	document, err := json.MarshalIndent(map[string]any{"Version": "2012-10-17", "Statement": statements}, "", "  ")
	r.cluster.check(err)
	return string(document)
}

// denial is the first action that a role's trust policy does not allow.
type denial struct {
	action   string
	reason   string
	explicit bool // by a Deny statement rather than by default
}

// denied evaluates the role's trust policy for each action. It returns the first action that the
// policy does not allow, or nil if it allows all of them.
func (r *Role) denied(request trustpolicy.Request, actions []string) *denial {
	r.mu.Lock()
	policy := r.policy
	r.mu.Unlock()
	if policy == nil {
		return &denial{action: actions[0], reason: "the role has no trust policy"}
	}
	for _, request.Action = range actions {
		decision := policy.Evaluate(request)
		if !decision.Allowed() {
			return &denial{request.Action, "trust policy: " + decision.String(), decision.Explicit()}
		}
	}
	return nil
}

func withoutScheme(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	return rest
}
