package explain

import "github.com/irsakit/irsakit/internal/awserror"

const commonErrors = "https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html"

const (
	changedFix  = "check whether a proxy or gateway modifies requests"
	changedText = "something changed the request, so that its signature is missing or does not match: check the proxy and whatever else stands between the pod and STS"
)

// requestRules apply to requests that STS rejects.
var requestRules = []rule{
	{
		codes: []string{"SignatureDoesNotMatch", "InvalidSignature", "IncompleteSignature"}, kind: ErrInvalidRequest, heading: HeadingInvalidRequest, fix: changedFix, text: changedText,
		source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html",
	},
	{
		codes: []string{"MissingAuthenticationToken"}, only: chained, kind: ErrInvalidRequest, heading: HeadingInvalidRequest, fix: changedFix, text: changedText,
		source: commonErrors,
	},
	{
		codes: []string{"RegionDisabled", "OptInRequired"}, kind: ErrInvalidRequest, heading: HeadingRegionDisabled,
		fix:    "enable {region}, or STS there, or set Options.Region",
		text:   "STS is not active in {region} for {inactive}: activate it there (IAM, Account settings). If {region} is an opt-in region, enable {region} itself there. Or set Options.Region to a region where STS is active, which leaves the region of other AWS clients as it is",
		source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_enable-regions.html",
	},
	{
		codes: []string{"PackedPolicyTooLarge"}, phrases: []string{"session tags"}, only: chained, kind: ErrInvalidRequest, heading: HeadingSessionPolicy,
		fix:    "pass fewer or shorter session tags, inherited ones included",
		text:   "the session tags are too large: shorten the option Tags. Inherited transitive tags of the source role's session also count. They come from earlier roles of the chain, or from the token's claim https://aws.amazon.com/tags",
		source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_know",
	},
	{
		codes: []string{"PackedPolicyTooLarge"}, phrases: []string{"session tags"}, kind: ErrInvalidRequest, heading: HeadingSessionPolicy,
		fix:    "shorten the session tags in the token's claims",
		text:   "the session tags are too large. They come from the token's claim https://aws.amazon.com/tags, which the cluster's issuer adds: configure the issuer to add fewer or shorter tags",
		source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_know",
	},
	{
		codes: []string{"PackedPolicyTooLarge"}, only: chained, kind: ErrInvalidRequest, heading: HeadingSessionPolicy,
		fix:    "shorten AssumeRoleOptions.Policy, PolicyARNs or Tags",
		text:   "the session policies and the session tags are too large together: shorten AssumeRoleOptions.Policy, or put it into a managed policy and name that in AssumeRoleOptions.PolicyARNs. Inherited tags count too",
		source: webIdentityDocument,
	},
	{
		codes: []string{"PackedPolicyTooLarge"}, kind: ErrInvalidRequest, heading: HeadingSessionPolicy,
		fix:    "shorten Options.Policy, Options.PolicyARNs or the session tags",
		text:   "the session policies and the session tags are too large together: shorten Options.Policy, or put it into a managed policy and name that in Options.PolicyARNs. Tags in the token's claim https://aws.amazon.com/tags count too",
		source: webIdentityDocument,
	},
	{
		codes: []string{"InvalidParameterValue", "ValidationError"}, phrases: []string{"conflicts with a transitive tag key"}, only: chained, kind: ErrInvalidRequest, heading: HeadingInvalidRequest,
		fix:    "leave inherited tags out of the option Tags",
		text:   "the session of {signer} has a transitive tag with a key of the option Tags. A role chain inherits such tags and cannot replace them: leave the key out of the option Tags",
		source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_role-chaining",
	},
	{
		codes: []string{"InvalidParameterValue", "ValidationError"}, phrases: []string{"tag key"}, kind: ErrInvalidRequest, heading: HeadingInvalidRequest,
		fix:    "correct the session tags",
		text:   "STS does not accept the session tags: their keys must differ in more than the case of letters, and transitive keys must be among them. In a role chain, correct the option Tags. For a first role, correct the token's claim https://aws.amazon.com/tags, which the issuer adds",
		source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_know",
	},
	{
		codes: []string{"MalformedPolicyDocument"}, only: chained, kind: ErrInvalidRequest, heading: HeadingSessionPolicy,
		fix:    "correct AssumeRoleOptions.Policy",
		text:   `the message of STS names what is wrong in the session policy: correct it. A valid one looks like AssumeRoleOptions.Policy={"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`,
		source: "https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html",
	},
	{
		codes: []string{"MalformedPolicyDocument"}, kind: ErrInvalidRequest, heading: HeadingSessionPolicy,
		fix:    "correct Options.Policy",
		text:   `the message of STS names what is wrong in the session policy: correct it. A valid one looks like Options.Policy={"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`,
		source: webIdentityDocument,
	},
	{
		phrases: []string{"1 hour session limit"}, kind: ErrInvalidRequest, heading: HeadingSessionDuration,
		fix:    "request at most one hour",
		text:   "a session in a role chain lasts at most one hour, whatever the role allows: omit the duration",
		source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining",
	},
	{
		phrases: []string{"MaxSessionDuration"}, kind: ErrInvalidRequest, heading: HeadingSessionDuration,
		fix:    "lower Options.Duration, or raise the role's maximum",
		text:   "the request asks for {duration}, which is longer than the role allows: lower Options.Duration, or raise the role's maximum: aws iam update-role --role-name {rolename} --max-session-duration {seconds}",
		source: "https://github.com/99designs/aws-vault/issues/263",
	},
	{
		phrases: []string{"ARN is invalid", "'roleArn'"}, only: chained, kind: ErrInvalidRequest, heading: HeadingRoleARN,
		fix:    "correct the role ARN",
		text:   "correct the role ARN that AssumeRole was called with: it looks like {examplearn}",
		source: "https://repost.aws/knowledge-center/eks-troubleshoot-irsa-errors",
	},
	{
		phrases: []string{"ARN is invalid", "'roleArn'"}, when: func(f Facts) bool { return f.OwnRole }, kind: ErrInvalidRequest, heading: HeadingRoleARN,
		fix:    "check the account, partition and path of the role ARN",
		text:   "correct the role ARN that the program sets: it looks like {examplearn}. If it is right, the region {region} is in another partition",
		source: "https://repost.aws/knowledge-center/eks-troubleshoot-irsa-errors",
	},
	{
		phrases: []string{"ARN is invalid", "'roleArn'"}, kind: ErrInvalidRequest, heading: HeadingRoleARN,
		fix:    "check the account, partition and path of the role ARN in the annotation",
		text:   "correct AWS_ROLE_ARN. It comes from the service account's annotation eks.amazonaws.com/role-arn, and looks like {examplearn}. Then recreate the pod. If the ARN is right, AWS_REGION is in another partition",
		source: "https://repost.aws/knowledge-center/eks-troubleshoot-irsa-errors",
	},
	{
		phrases: []string{"'roleSessionName'"}, only: chained, kind: ErrInvalidRequest, heading: HeadingSettings, fix: chainedNameFix, text: chainedNameText,
		source: "https://github.com/zalando-incubator/kube-aws-iam-controller/issues/16",
	},
	{
		phrases: []string{"'roleSessionName'"}, kind: ErrInvalidRequest, heading: HeadingSettings,
		fix:    "correct AWS_ROLE_SESSION_NAME or Options.SessionName",
		text:   "correct AWS_ROLE_SESSION_NAME or Options.SessionName: it must have 2 to 64 characters: letters, digits and the characters _+=,.@- (no spaces)",
		source: "https://github.com/zalando-incubator/kube-aws-iam-controller/issues/16",
	},
	{
		when: isAboutParameter, kind: ErrInvalidRequest, heading: HeadingInvalidRequest, fix: "correct the parameter that STS names, or upgrade the library",
		text:   "STS names the parameter that it does not accept. If it is the role's ARN, the session's name, duration, policies or tags, the external ID, the source identity or the region, correct that setting. Otherwise upgrade the library and the SDK, and report a bug in the library",
		source: commonErrors,
	},
	{
		kind: ErrInvalidRequest, heading: HeadingInvalidRequest, fix: "correct what the code and the message name, such as the account",
		text:   "the server rejects the request for a reason that only its code and message name: correct the account, the role or the setting that they name. If the server is not AWS's, its documentation explains the code",
		source: commonErrors,
	},
}

// isAboutParameter reports whether the code is one of those for invalid parameters.
func isAboutParameter(f Facts) bool {
	return awserror.Is(f.Code, "ValidationError", "InvalidParameterValue", "InvalidParameterCombination", "MissingParameter")
}

// serviceRules are faults of STS itself, and responses from other servers.
var serviceRules = []rule{
	{
		kind: ErrAccessDenied, heading: HeadingAccessDenied, fix: "correct the role ARN, or allow this service account in its trust policy",
		text: "the role does not exist, or the trust policy of {role} does not allow this token. It needs the statement {statement}", source: accessDocument,
	},
	{
		when: func(f Facts) bool { return f.Code == "" }, kind: ErrThrottled, heading: HeadingThrottled,
		fix:    "raise the rate limit of the proxy or gateway between the pod and STS",
		text:   "something between the pod and STS limits the requests, because the response lacks the error code of STS: raise the limit of the proxy (HTTPS_PROXY), service mesh or gateway. The library retries",
		source: "https://www.rfc-editor.org/rfc/rfc6585#section-4",
	},
	{
		kind: ErrThrottled, heading: HeadingThrottled, fix: "wait; find the client that keeps requesting credentials",
		text:   "the library retries. All callers in the account and region share STS's limit: look for a program that keeps requesting new credentials",
		source: "https://github.com/aws/aws-sdk-go-v2/issues/2544",
	},
	{
		when: isGatewayFailure, kind: ErrUnavailable, heading: HeadingSTSUnavailable,
		fix:    "wait; if this persists, check the proxy or gateway before STS",
		text:   "the response lacks the error code of STS, so it is probably from a proxy (HTTPS_PROXY), a service mesh or a gateway that does not reach {url}, or is failing itself. The library retries. If this persists, check what stands between the pod and {url}",
		source: "https://www.rfc-editor.org/rfc/rfc9110#name-server-error-5xx",
	},
	{
		when: func(f Facts) bool { return isNotSTS(f) && hasEndpoint(f) }, kind: ErrUnavailable, heading: HeadingNotSTS,
		fix:    "correct AWS_ENDPOINT_URL_STS: a server other than STS responds",
		text:   "the server that responds at {url} is not STS: correct or unset AWS_ENDPOINT_URL_STS and Options.Endpoint, and check the proxy (HTTPS_PROXY) and any gateway between the pod and STS",
		source: "https://github.com/aws/aws-sdk-go/issues/3972",
	},
	{
		when: func(f Facts) bool { return isNotSTS(f) && f.URL == "" }, kind: ErrUnavailable, heading: HeadingNotSTS,
		fix:    "check what the client in Options.STS returns",
		text:   "the client in Options.STS returns a response that is not from STS: check its endpoint and its proxy. A mock must return credentials, and any AssumedRoleUser must be a session of {role}",
		source: "https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html",
	},
	{
		when: isNotSTS, kind: ErrUnavailable, heading: HeadingNotSTS,
		fix:    "check the endpoint, the proxy and DNS: a server other than STS responds",
		text:   "the server that responds at {url} is not STS: check the proxy (HTTPS_PROXY), the cluster's DNS, and any gateway between the pod and STS",
		source: "https://github.com/aws/aws-sdk-go/issues/3972",
	},
	{
		codes: []string{"InternalFailure", "InternalError", "ServiceUnavailable", "RequestTimeout", "RequestAborted"}, kind: ErrUnavailable, heading: HeadingSTSUnavailable,
		fix:    "wait: STS is failing, and the library retries",
		text:   "STS is failing. No action is needed: the library retries and continues to serve valid credentials",
		source: commonErrors,
	},
	{
		when: func(f Facts) bool { return f.Code != "" }, kind: ErrUnavailable, heading: HeadingSTSUnavailable, fix: "wait: STS is failing, and the library retries",
		text:   "STS is failing. No action is needed: the library retries and continues to serve valid credentials",
		source: commonErrors,
	},
}

// otherRules are rules for failures without a response from STS.
var otherRules = []rule{
	{
		kind: ErrRejected, heading: HeadingRefusedByService, fix: "check the clocks of the node and of that service",
		text:   "a service rejected the credentials as expired or unknown: check the clocks of the node and of that service. New credentials are requested automatically",
		source: "https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList",
	},
}
