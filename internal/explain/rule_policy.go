package explain

import "strings"

// accessDocument lists the messages for denied requests. For each policy type, there is one ending
// for a missing permission and one for an explicit deny.
const accessDocument = "https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"

// chainDocument describes the permissions that both sides of a role chain need.
const chainDocument = "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_permissions-to-switch.html"

// exceptRole and exceptCaller exempt one request from a Deny statement without affecting other
// requests. In the caller's policies they use the Resource, and in all others a condition on the
// caller.
const (
	ownStatement = `move {action} to a Deny statement of its own`
	exceptRole   = ownStatement + `. If the Resource there is "*", replace it with {notresource}; otherwise remove {role} from it`
	exceptCaller = ownStatement + `, and add the condition {exception} there. If the statement kept its other actions, the caller would be exempt from those as well`
)

// policyRules apply to denied requests whose message names a policy type. If policies of several
// types deny a request, AWS names only one.
var policyRules = []rule{
	{
		phrases: []string{"no service control policy allows"}, kind: ErrAccessDenied, heading: HeadingAccessDenied,
		fix:    "allow {action} in the service control policy",
		text:   "no service control policy allows {action}: the administrator of the AWS organization must allow it for the account of {signer}, with the statement {grant}",
		source: accessDocument,
	},
	{
		phrases: []string{"explicit deny in a service control policy"}, kind: ErrAccessDenied, heading: HeadingAccessDenied,
		fix:    "remove the {action} deny from the service control policy",
		text:   "a service control policy{policyarn} denies {action}: the administrator of the AWS organization must " + exceptCaller,
		source: accessDocument,
	},
	{
		phrases: []string{"no resource control policy allows"}, kind: ErrAccessDenied, heading: HeadingAccessDenied,
		fix:    "allow {action} in the resource control policy",
		text:   "no resource control policy allows {action}: the administrator of the AWS organization must allow it for the account of {role}",
		source: accessDocument,
	},
	{
		phrases: []string{"explicit deny in a resource control policy"}, kind: ErrAccessDenied, heading: HeadingAccessDenied,
		fix:    "remove the {action} deny from the resource control policy",
		text:   "a resource control policy{policyarn} denies {action}: the administrator of the AWS organization must " + exceptCaller + ". Such policies often require an issuer or an organization (aws:PrincipalOrgID)",
		source: accessDocument,
	},
	{
		phrases: []string{"no VPC endpoint policy allows"}, kind: ErrAccessDenied, only: webIdentityRole, heading: HeadingAccessDenied,
		fix:    "allow {action} in the VPC endpoint policy of STS",
		text:   "the VPC endpoint policy of STS must allow {action} for {role}, without a condition on the caller: a web identity has no credentials yet, so it needs the statement {endpointgrant}",
		source: accessDocument,
	},
	{
		phrases: []string{"no VPC endpoint policy allows"}, kind: ErrAccessDenied, heading: HeadingRoleChain,
		fix:    "allow {action} in the VPC endpoint policy of STS",
		text:   "the VPC endpoint policy of STS must allow {action} for this role chain: it needs the statement {endpointgrant}",
		source: accessDocument,
	},
	{
		phrases: []string{"explicit deny in a VPC endpoint policy"}, kind: ErrAccessDenied, heading: HeadingAccessDenied,
		fix:    "remove the {action} deny from the VPC endpoint policy",
		text:   "the VPC endpoint policy of STS{policyarn} denies {action} explicitly: " + exceptCaller,
		source: accessDocument,
	},
	{
		phrases: []string{"no permissions boundary allows"}, kind: ErrAccessDenied, heading: HeadingRoleChain,
		fix:    "allow {action} in the permissions boundary",
		text:   "the permissions boundary of {signer} limits what the role's own policies grant: it needs the statement {grant}",
		source: accessDocument,
	},
	{
		phrases: []string{"explicit deny in a permissions boundary"}, kind: ErrAccessDenied, heading: HeadingRoleChain,
		fix:    "remove the {action} deny from the permissions boundary",
		text:   "the permissions boundary of {signer}{policyarn} denies {action} explicitly: " + exceptRole,
		source: accessDocument,
	},
	{
		phrases: []string{"no session policy allows"}, kind: ErrAccessDenied, heading: HeadingRoleChain,
		fix:    "allow {action} in the session policy",
		text:   "the session policy of {signer} (the options Policy and PolicyARNs of that role) limits what the role's own policies grant: it needs the statement {grant}",
		source: accessDocument,
	},
	{
		phrases: []string{"explicit deny in a session policy"}, kind: ErrAccessDenied, heading: HeadingRoleChain,
		fix:    "remove the {action} deny from the session policy",
		text:   "the session policy of {signer} (the options Policy and PolicyARNs of that role){policyarn} denies {action} explicitly: " + exceptRole,
		source: accessDocument,
	},
	{
		phrases: []string{"no resource-based policy allows", "no role trust policy allows"}, only: chained, kind: ErrAccessDenied, heading: HeadingRoleChain,
		fix:    "allow {action} in the role's resource-based policy",
		text:   "the resource-based policy of {role} is its trust policy, which must allow {action}. {inherited}It needs the statement {statement}. " + chainConditions,
		source: accessDocument,
	},
	{
		phrases: []string{"no resource-based policy allows", "no role trust policy allows"}, kind: ErrAccessDenied, heading: HeadingAccessDenied,
		fix:    "allow {action} in the role's resource-based policy",
		text:   "the resource-based policy of {role} is its trust policy, which must allow {action}. {inherited}It needs the statement {statement}",
		source: accessDocument,
	},
	{
		phrases: []string{"explicit deny in a resource-based policy", "explicit deny in a role trust policy", "explicit deny in the role trust policy"}, kind: ErrAccessDenied, heading: HeadingAccessDenied,
		fix:    "remove the {action} deny from the resource-based policy",
		text:   "the trust policy of {role}, which is its resource-based policy, denies {action} explicitly: " + exceptCaller,
		source: accessDocument,
	},
	{
		phrases: []string{"no identity-based policy allows"}, kind: ErrAccessDenied, heading: HeadingRoleChain,
		fix:    "allow {action} in an identity-based policy of the caller",
		text:   "{inherited}An identity-based policy of {signer} needs the statement {grant}",
		source: accessDocument,
	},
	{
		phrases: []string{"explicit deny in an identity-based policy"}, kind: ErrAccessDenied, heading: HeadingRoleChain,
		fix:    "remove the {action} deny from the identity-based policy",
		text:   "an identity-based policy of {signer}{policyarn} denies {action} explicitly: " + exceptRole,
		source: accessDocument,
	},
	{
		phrases: []string{"explicit deny"}, kind: ErrAccessDenied, heading: HeadingAccessDenied,
		fix:    "find the policy that denies {action} explicitly",
		text:   "a policy denies {action} for {role} explicitly: look for a Deny statement in the role's trust policy, in the policies and the permissions boundary of the caller, in its session policy, in the service and resource control policies of the organization, and in the VPC endpoint policy of STS",
		source: "https://repost.aws/knowledge-center/iam-explicit-deny-errors",
	},
}

// chainConditions is the advice for a trust policy that allows a chain only with some options.
const chainConditions = "If it has that statement with conditions, set the options ExternalID, SourceIdentity and Tags as these require"

// chainDenied is the advice for a chain that STS denies without a reason.
const chainDenied = "an identity-based policy of {signer} needs the statement {grants}, and the trust policy of {role} the statement {statement}. " + chainConditions

// accessRules apply to denied requests whose message does not name a policy type.
var accessRules = []rule{
	{
		codes: []string{"AccessDenied"}, phrases: []string{"MultiFactorAuthentication failed"}, only: chained, kind: ErrAccessDenied, heading: HeadingRoleChain,
		fix:    "remove AssumeRoleOptions.SerialNumber and TokenProvider",
		text:   "an MFA device belongs to a user, and {signer} is a role: remove AssumeRoleOptions.SerialNumber and AssumeRoleOptions.TokenProvider. If the trust policy of {role} requires aws:MultiFactorAuthPresent, it must exempt this role",
		source: "https://github.com/99designs/aws-vault/issues/676",
	},
	{
		codes: []string{"AccessDenied"}, only: chained, when: func(f Facts) bool { return f.action() != actionAssumeRole },
		kind: ErrAccessDenied, heading: HeadingRoleChain,
		fix:    "allow {action} in the caller's policy and the role's trust policy",
		text:   "{inherited}An identity-based policy of {signer} needs the statement {grants}, and the trust policy of {role} the statement {statement}",
		source: "https://github.com/aws-actions/configure-aws-credentials/issues/54",
	},
	{
		codes: []string{"AccessDenied"}, only: chained, when: func(f Facts) bool { return f.ExternalID != "" }, kind: ErrAccessDenied, heading: HeadingRoleChain,
		fix:    "check the external ID, the caller's policy and the role's trust policy",
		text:   chainDenied,
		source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_common-scenarios_third-party.html",
	},
	{
		codes: []string{"AccessDenied"}, only: chained, kind: ErrAccessDenied, heading: HeadingRoleChain,
		fix:    "allow {action} in the caller's policy and the role's trust policy",
		text:   chainDenied,
		source: chainDocument,
	},
	{
		codes: []string{"AccessDenied"}, when: func(f Facts) bool { return !f.IsAWS() }, kind: ErrAccessDenied, heading: HeadingAccessDenied,
		fix:    "check the server's policies for this token",
		text:   "the server does not allow this token to assume the role: check its policies for the token's issuer, subject and audience",
		source: "https://min.io/docs/minio/linux/developers/security-token-service/AssumeRoleWithWebIdentity.html",
	},
	{
		codes: []string{"AccessDenied"}, when: func(f Facts) bool { return f.action() != actionWebIdentity }, kind: ErrAccessDenied, heading: HeadingAccessDenied,
		fix:    "allow {action} in the role's trust policy",
		text:   "the token contains session tags or a source identity, so the trust policy of {role} must also allow {action}: it needs the statement {statement}",
		source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp",
	},
	{
		codes: []string{"AccessDenied"}, when: isOtherToken, kind: ErrAccessDenied, heading: HeadingAccessDenied,
		fix:    "use a service account's token, or allow this one in the trust policy",
		text:   "the token is not that of a Kubernetes service account: set AWS_WEB_IDENTITY_TOKEN_FILE to one that is. If its subject is intended, add the statement {statement} to the trust policy of {role}",
		source: "https://docs.aws.amazon.com/eks/latest/userguide/pod-configuration.html",
	},
	{
		codes: []string{"AccessDenied"}, kind: ErrAccessDenied, heading: HeadingAccessDenied,
		fix:    "correct the role ARN, or allow this service account in its trust policy",
		text:   "the role does not exist, or its trust policy does not allow this token. If the ARN is wrong, {correctarn}. Otherwise the trust policy of {role} needs the statement {statement}",
		source: "https://repost.aws/knowledge-center/eks-load-balancer-webidentityerr",
	},
}

// isOtherToken reports whether the file contains a token that does not belong to a service account.
func isOtherToken(f Facts) bool {
	return f.TokenFile != "" && f.Claims.Subject != "" && !strings.HasPrefix(f.Claims.Subject, "system:serviceaccount:")
}
