package explain

import (
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/irsakit/irsakit/internal/awserror"
)

// firstCauses make every exchange fail. They take precedence, because any other advice would be
// correct but useless.
var firstCauses = []rule{
	{
		phrases: []string{"too many open files"}, heading: HeadingConnection, // a *net.DNSError contains only the text
		fix:    "find what keeps files or connections open, or raise the limit",
		text:   "the program has too many files and connections open: find what does not close them, such as response bodies, or raise the limit of the process (ulimit -n)",
		source: "https://man7.org/linux/man-pages/man3/errno.3.html",
	},
	{
		when: inOtherPartition, heading: HeadingRoleARN,
		fix:    "use a region of the role's partition, or correct the role ARN",
		text:   "{role} is in the partition {rolepartition}, but the region {region} is in {partition}. Roles cannot be assumed across partitions. {correction}",
		source: "https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html",
	},
	{
		when: func(f Facts) bool { return f.TokenFile == "" && isAPIServerToken(f) }, heading: HeadingAudience,
		fix:    functionAudienceFix,
		text:   "the audience of the token of Options.Token is {tokenaudience}, the Kubernetes API server: request one with the audience sts.amazonaws.com (spec.audiences of a TokenRequest)",
		source: tokenRequestDocument,
	},
	{
		when: func(f Facts) bool { return f.IsUnbound() && isAPIServerToken(f) }, heading: HeadingAudience, fix: unboundAudienceFix, text: unboundAudienceText,
		source: createTokenDocument,
	},
	{
		when: isAPIServerToken, heading: HeadingAudience,
		fix:    "mount the IRSA token, which has the audience sts.amazonaws.com",
		text:   "this is not the IRSA token: its audience is {tokenaudience}, the Kubernetes API server. Set AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/secrets/eks.amazonaws.com/serviceaccount/token, the token that the EKS webhook mounts, or project one with the audience sts.amazonaws.com",
		source: "https://docs.aws.amazon.com/eks/latest/userguide/pod-configuration.html",
	},
	{
		when: isPodIdentityToken, heading: HeadingAudience,
		fix:    "use the SDK's default credentials, or mount the IRSA token",
		text:   "this is not the IRSA token: its audience is " + podIdentityAudience + ", that of EKS Pod Identity. Use the SDK's own credentials in this pod (config.LoadDefaultConfig). To use IRSA instead, delete the pod identity association, remove AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE from the container's own env, annotate the service account with eks.amazonaws.com/role-arn, allow it in the role's trust policy, and recreate the pod; or project a token with the audience sts.amazonaws.com",
		source: "https://github.com/hashicorp/terraform-provider-aws/issues/41473",
	},
	{
		when: hasOtherAlgorithm, heading: HeadingTokenRejected,
		fix:    "use a token that is signed with RS256 or ES256",
		text:   "the token is signed with {algorithm}, and STS accepts only RS256, RS384, RS512, ES256, ES384 and ES512: use the projected token of a service account. If it is one, give the API server a key for one of these algorithms (--service-account-signing-key-file)",
		source: webIdentityDocument,
	},
	{
		codes: []string{"AccessDenied"}, when: isReserved, kind: ErrAccessDenied, heading: HeadingRoleARN,
		fix:    "use another role: only AWS can change the trust policy of this one",
		text:   "{role} is for an AWS service or for IAM Identity Center, and only AWS can change its trust policy: create a role of your own with the permissions that the program needs, and use that one",
		source: "https://github.com/rebuy-de/aws-nuke/issues/441",
	},
	{
		codes: []string{"AccessDenied"}, only: chained, when: func(f Facts) bool { return strings.EqualFold(f.Source, f.RoleARN) },
		kind: ErrAccessDenied, heading: HeadingRoleChain,
		fix:    "remove this AssumeRole: the program already has this role's credentials",
		text:   "{role} would assume itself, which its trust policy does not allow. The Provider already provides credentials of this role: use it directly, without AssumeRole",
		source: "https://aws.amazon.com/blogs/security/announcing-an-update-to-iam-role-trust-policy-behavior/",
	},
	{
		when: func(f Facts) bool {
			return f.FIPS && isUnknownHost(f) && strings.HasPrefix(f.value("host"), "sts-fips.")
		}, kind: ErrUnavailable, heading: HeadingEndpoint,
		fix:    "unset AWS_USE_FIPS_ENDPOINT: its host does not exist in {region}",
		text:   "AWS_USE_FIPS_ENDPOINT selects the host {host}, which does not exist, so {region} seems to have no FIPS endpoint of STS. Unset AWS_USE_FIPS_ENDPOINT, or set {regionsetting} to a region that has one",
		source: "https://aws.amazon.com/compliance/fips/",
	},
	{
		when: func(f Facts) bool { return f.DualStack && isUnknownHost(f) }, kind: ErrUnavailable, heading: HeadingEndpoint,
		fix:    "unset AWS_USE_DUALSTACK_ENDPOINT: its host does not exist",
		text:   "AWS_USE_DUALSTACK_ENDPOINT selects the host {host}, which does not exist, so {region} seems to have no dual-stack endpoint of STS. Unset AWS_USE_DUALSTACK_ENDPOINT",
		source: "https://docs.aws.amazon.com/sdkref/latest/guide/feature-endpoints.html",
	},
	{
		codes: []string{"SignatureDoesNotMatch", "InvalidSignature"}, phrases: []string{"scoped to a valid region", "scoped to correct region"}, when: hasEndpoint,
		kind: ErrInvalidRequest, heading: HeadingEndpoint, fix: "unset AWS_ENDPOINT_URL_STS, or set AWS_REGION to its region",
		text:   "the STS endpoint is in another region than {region}, the region that requests are signed for: unset AWS_ENDPOINT_URL_STS and Options.Endpoint, or set {regionsetting} to the endpoint's region",
		source: "https://github.com/cloud-custodian/cloud-custodian/issues/4874",
	},
	{
		codes: []string{"SignatureDoesNotMatch", "InvalidSignature"}, phrases: []string{"scoped to a valid region", "scoped to correct region"},
		kind: ErrInvalidRequest, heading: HeadingEndpoint, fix: "check Options.STS, DNS and the proxy: STS in another region responded",
		text:   "STS in a region other than {region} responded: check the region of a client in Options.STS, the DNS entries of STS, and the proxy",
		source: "https://github.com/cloud-custodian/cloud-custodian/issues/4874",
	},
}

// inOtherPartition reports whether the role and the region are in different partitions, so that STS
// cannot find the role.
func inOtherPartition(f Facts) bool {
	passes := isNotSTS(f) || f.is(ErrThrottled) || f.is(ErrClosed) || f.is(ErrNotConfigured) || f.is(ErrRejected)
	return !passes && f.OtherPartition() != ""
}

// isReserved reports whether the role is a service-linked role or belongs to IAM Identity Center.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html
// https://docs.aws.amazon.com/singlesignon/latest/userguide/referencingpermissionsets.html
func isReserved(f Facts) bool {
	role, _ := arn.Parse(f.RoleARN)
	return f.IsAWS() && (strings.HasPrefix(role.Resource, "role/aws-service-role/") || strings.HasPrefix(role.Resource, "role/aws-reserved/"))
}

// isAPIServerToken reports whether STS rejected a token for the Kubernetes API server, such as the
// token in /var/run/secrets/kubernetes.io of every pod.
func isAPIServerToken(f Facts) bool {
	return f.Code != "" && f.IsAWS() && (f.is(ErrTokenRejected) || f.is(ErrTokenExpired) || f.is(ErrAccessDenied) || f.is(ErrUnavailable)) &&
		!f.isFault() && f.IsAPIServerToken()
}

// podIdentityAudience is the audience of the tokens for the EKS Pod Identity agent.
// https://github.com/aws/amazon-eks-pod-identity-webhook/blob/master/main.go
const podIdentityAudience = "pods.eks.amazonaws.com"

// isPodIdentityToken reports whether STS rejected a token that the kubelet wrote for the EKS Pod
// Identity agent.
func isPodIdentityToken(f Facts) bool {
	return f.Code != "" && f.IsAWS() && f.is(ErrTokenRejected) && f.TokenFile != "" && !f.IsUnbound() &&
		slices.Contains(f.Claims.Audience, podIdentityAudience) && !slices.Contains(f.Claims.Audience, STSAudience)
}

// hasOtherAlgorithm reports whether STS rejected a token that is signed with an algorithm that it does
// not accept.
func hasOtherAlgorithm(f Facts) bool {
	accepted := []string{"", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512"}
	return f.Code != "" && f.IsAWS() && f.is(ErrTokenRejected) && !slices.Contains(accepted, f.Algorithm)
}

// isFault reports whether STS itself failed.
func (f Facts) isFault() bool {
	return f.is(ErrUnavailable) && !awserror.Is(f.Code, "InvalidIdentityToken", "IDPCommunicationError")
}

// IsAPIServerToken reports whether the token is for the Kubernetes API server, based on its
// audiences: the server's address in the cluster, or the issuer, which is the default of
// kube-apiserver.
// https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/
func (f Facts) IsAPIServerToken() bool {
	own := func(audience string) bool {
		name, _, _ := strings.Cut(WithoutScheme(audience), "/")
		return strings.HasPrefix(name, "kubernetes.default") || audience == f.Claims.Issuer || slices.Contains([]string{"kubernetes.svc.default", "k3s", "rke2"}, name)
	}
	return len(f.Claims.Audience) > 0 && !slices.Contains(f.Claims.Audience, STSAudience) && slices.ContainsFunc(f.Claims.Audience, own)
}

func hasEndpoint(f Facts) bool { return f.Endpoint != "" }

// isUnknownHost reports whether the host name of STS does not exist.
func isUnknownHost(f Facts) bool {
	var host *net.DNSError
	return errors.As(f.Err, &host) && host.IsNotFound && !isProxy(f.Err)
}
