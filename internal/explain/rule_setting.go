package explain

// Advice for an invalid session name in a role chain.
const (
	chainedNameFix  = "correct RoleSessionName of AssumeRole, or SessionName of ChainedRole"
	chainedNameText = "correct AssumeRoleOptions.RoleSessionName (in a Pool, SessionName of ChainedRole): it must have 2 to 64 characters: letters, digits and the characters _+=,.@- (no spaces)"
)

// settingRules contains the advice for invalid and missing settings. The phrases are from the
// library's own errors.
var settingRules = []rule{
	{
		heading: HeadingNotInjected, phrases: []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI"}, fix: "use the SDK's default credentials, or annotate the service account",
		text: "a sidecar or another endpoint provides credentials to this container: use the SDK's own credentials here (config.LoadDefaultConfig). To use IRSA in this container instead, annotate its service account with eks.amazonaws.com/role-arn and recreate the pod",
	},
	{
		heading: HeadingNotInjected, fix: "annotate the service account and recreate the pod",
		text: "the EKS webhook sets both variables when a pod is created, if its service account has the annotation eks.amazonaws.com/role-arn: check that the service account has it, that the pod uses this service account, and recreate the pod",
	},
	{
		heading: HeadingHalfInjected, phrases: []string{"there is a token"}, when: func(f Facts) bool { return f.OwnToken }, fix: "set the role: AWS_ROLE_ARN, Options.RoleARN or RoleOptions.RoleARN",
		text: "there is a token, so only the role is missing: set Options.RoleARN or AWS_ROLE_ARN, or in a Pool RoleOptions.RoleARN",
	},
	{
		heading: HeadingHalfInjected, phrases: []string{"there is a role"}, when: func(f Facts) bool { return f.OwnRole }, fix: "set AWS_WEB_IDENTITY_TOKEN_FILE, or Options.TokenFile",
		text: "the program sets the role, so only the token is missing: mount one, and set Options.TokenFile or AWS_WEB_IDENTITY_TOKEN_FILE. Or annotate the service account with eks.amazonaws.com/role-arn and recreate the pod: the EKS webhook then mounts a token and sets that variable",
	},
	{
		heading: HeadingHalfInjected, phrases: []string{"there is a token"}, fix: "remove AWS_WEB_IDENTITY_TOKEN_FILE from the env and recreate the pod",
		text: "the EKS webhook does not change a container that already has one of its two variables: remove AWS_WEB_IDENTITY_TOKEN_FILE from the container's own env, check that the service account has the annotation eks.amazonaws.com/role-arn, and recreate the pod. If you mount the token yourself, set AWS_ROLE_ARN too",
	},
	{
		heading: HeadingHalfInjected, fix: "remove AWS_ROLE_ARN from the container's env and recreate the pod",
		text: "the EKS webhook does not change a container that already has one of its two variables: remove AWS_ROLE_ARN from the container's own env, check that the service account has the annotation eks.amazonaws.com/role-arn, and recreate the pod. If you mount the token yourself, set AWS_WEB_IDENTITY_TOKEN_FILE too",
	},
	{
		heading: HeadingPodIdentity, phrases: []string{"there is a"}, fix: "use the SDK's default credentials, or replace Pod Identity with IRSA",
		text: "use the SDK's own credentials in this pod (config.LoadDefaultConfig), without the role or token that is set; or delete the pod identity association, remove AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE from the container's own env, annotate the service account with eks.amazonaws.com/role-arn, allow it in the role's trust policy, and recreate the pod",
	},
	{
		heading: HeadingPodIdentity, fix: "use the SDK's default credentials, or replace Pod Identity with IRSA",
		text: "use the SDK's own credentials in this pod (config.LoadDefaultConfig); or delete the pod identity association, annotate the service account with eks.amazonaws.com/role-arn, allow it in the role's trust policy, and recreate the pod",
	},
	{
		heading: HeadingRoleARN, when: func(f Facts) bool { return f.OwnRole || f.Chained }, fix: "correct the role ARN that the program sets",
		text: "correct the role ARN that the program sets, so that it looks like {examplearn}",
	},
	{
		heading: HeadingRoleARN, fix: "correct the annotation eks.amazonaws.com/role-arn and recreate the pod",
		text: "write the role's ARN, such as {examplearn}, into the service account's annotation eks.amazonaws.com/role-arn, and recreate the pod; or correct AWS_ROLE_ARN or the option, if the application sets it",
	},
	{
		heading: HeadingSettings, phrases: []string{"session name"}, only: chained, fix: chainedNameFix, text: chainedNameText,
	},
	{
		heading: HeadingSettings, phrases: []string{"session name"}, fix: "correct AWS_ROLE_SESSION_NAME or Options.SessionName",
		text: "correct AWS_ROLE_SESSION_NAME or Options.SessionName: it must have 2 to 64 characters: letters, digits and the characters _+=,.@- (no spaces)",
	},
	{
		heading: HeadingSettings, phrases: []string{"absolute path"}, fix: "set AWS_WEB_IDENTITY_TOKEN_FILE to the whole path of the file",
		text: "use an absolute path in AWS_WEB_IDENTITY_TOKEN_FILE or Options.TokenFile, because the working directory can change, and write it without quotation marks, ~ or file://",
	},
	{heading: HeadingSettings, phrases: []string{"true or false"}, fix: "set it to true or false, or unset it", text: "unset {variable}, or set it to true or false"},
	{heading: HeadingSettings, fix: "correct the setting", text: "correct the option or the environment variable"},
	{
		heading: HeadingAudience, fix: "mount the IRSA token, which has the audience sts.amazonaws.com",
		text: "set AWS_WEB_IDENTITY_TOKEN_FILE=" + webhookFile + ", the token that the EKS webhook mounts, or project one with the audience sts.amazonaws.com; and set AWS_REGION to the region of the cluster, for example AWS_REGION={home}",
	},
	{
		heading: HeadingRegion, when: func(f Facts) bool { return f.RegionSetting != "" && f.RegionSetting != "AWS_REGION" }, fix: "correct the region that the program sets",
		text: "correct the region that the program sets, for example {regionsetting}={home}",
	},
	{
		heading: HeadingRegion, fix: "set AWS_REGION to the region of the cluster",
		text: "set AWS_REGION, or Options.Region if the program sets it, to the region of the cluster, for example AWS_REGION={home}. In a self-hosted cluster, the webhook can set it for all pods (--aws-default-region)",
	},
	{
		heading: HeadingEndpoint, phrases: []string{"through the proxy"}, fix: "use no proxy for loopback addresses in Options.HTTPClient",
		text: "the token would be readable in transit, because the program's HTTP client sends requests to a loopback address through a proxy: exclude loopback addresses in the Proxy function of its transport, or set Options.InsecureEndpoint",
	},
	{
		heading: HeadingEndpoint, phrases: []string{"not encrypted"}, fix: "use https://, or set Options.InsecureEndpoint or the flag -insecure-endpoint",
		text: "the token would be readable in transit: unset AWS_ENDPOINT_URL_STS, to use the endpoint of the region, or set {encrypted}. If something else encrypts the connection, such as a service mesh, set Options.InsecureEndpoint (in the doctor, the sidecar and credential-process: the flag -insecure-endpoint)",
	},
	{
		heading: HeadingEndpoint, phrases: []string{"no STS endpoint for"}, fix: "unset AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT",
		text: "unset AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT, or set AWS_REGION to a region that has such an endpoint",
	},
	{
		heading: HeadingEndpoint, phrases: []string{"together with"}, fix: "unset AWS_ENDPOINT_URL_STS, or the FIPS and dual-stack variables",
		text: "a custom endpoint cannot be combined with FIPS or dual-stack endpoints: unset AWS_ENDPOINT_URL_STS, or unset AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT",
	},
	{
		heading: HeadingEndpoint, phrases: []string{"belongs to"}, fix: "unset AWS_ENDPOINT_URL_STS, or RoleOptions.Region",
		text: "unset AWS_ENDPOINT_URL_STS and Options.Endpoint, so that each role uses the endpoint of its region; or do not set RoleOptions.Region for roles with a chain",
	},
	{
		heading: HeadingEndpoint, fix: "unset AWS_ENDPOINT_URL_STS, or correct it",
		text: "unset AWS_ENDPOINT_URL_STS and Options.Endpoint, to use the endpoint of the region; or set the whole URL, such as https://sts.us-west-2.amazonaws.com",
	},
	{
		heading: HeadingSessionDuration, only: chained, fix: "set a duration from 15m to 1h, or none",
		text: "set AssumeRoleOptions.Duration=1h, the default and the maximum in role chains, or any whole number of seconds from 15 minutes on",
	},
	{
		heading: HeadingSessionDuration, fix: "set a duration from 15m to 12h, or none",
		text: "set Options.Duration=1h, the default and the maximum in role chains, or any whole number of seconds from 15 minutes to 12 hours",
	},
	{
		heading: HeadingSessionPolicy, only: chained, fix: "correct or shorten Policy and PolicyARNs of the role in the chain",
		text: "correct or shorten AssumeRoleOptions.Policy and AssumeRoleOptions.PolicyARNs (in a Pool, those of ChainedRole). A long policy can be put into a managed policy, to be named in PolicyARNs",
	},
	{
		heading: HeadingSessionPolicy, phrases: []string{"in total"}, fix: "shorten Options.Policy, or pass fewer Options.PolicyARNs",
		text: "shorten Options.Policy, or put it into a managed policy and name that in Options.PolicyARNs",
	},
	{heading: HeadingSessionPolicy, fix: "correct or shorten the session policies", text: "correct or shorten Options.Policy and Options.PolicyARNs"},
	{heading: HeadingTLS, fix: "correct AWS_CA_BUNDLE, or unset it", text: "set AWS_CA_BUNDLE to the path of a PEM file with CA certificates, or unset it if you use neither a private CA nor a TLS-intercepting proxy"},
	{heading: HeadingTokenSource, fix: "correct the token source", text: "correct Options.Token or RoleOptions.Token"},
	{heading: HeadingInvalidRequest, fix: "correct the options of AssumeRole or of ChainedRole", text: "correct the options that AssumeRole was called with, or in a Pool the ChainedRole"},
}
