package explain

import (
	"slices"
	"time"

	"github.com/irsakit/irsakit/internal/awserror"
)

const (
	webIdentityDocument = "https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html"
	issuerDocument      = "https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html"
	volumeDocument      = "https://kubernetes.io/docs/concepts/storage/projected-volumes/"

	createTokenDocument  = "https://kubernetes.io/docs/reference/kubectl/generated/kubectl_create/kubectl_create_token/"
	tokenRequestDocument = "https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/"
)

const (
	projectedFix        = "use the service account's projected token, with the audience sts.amazonaws.com"
	functionAudienceFix = "request tokens with the audience sts.amazonaws.com in Options.Token"
	unboundAudienceFix  = "request the token with the audience sts.amazonaws.com"
	unboundAudienceText = "the token is for {tokenaudience}, and STS expects sts.amazonaws.com: {ststoken}"
)

// checkKeys is the advice for a new token that STS also rejects.
const checkKeys = "check that the issuer publishes the keys of the API server (jwks_uri in its /.well-known/openid-configuration)"

// rejectedText is the advice for a token that STS rejects for an unknown reason.
const rejectedText = "STS does not accept the token: check that {tokenfile} is the projected token of the pod's service account, with the audience sts.amazonaws.com. If it is, {newtoken}. If STS rejects that one too, " + checkKeys

// Advice for a wrong clock of the node, and for a request that was signed by it.
const (
	nodeClockFix = "correct the clock of this node"
	signedText   = "by the clock of STS, the request was signed at another time: set the clock of this node (for example with chronyc makestep), and check its time synchronization. Services accept a difference of at most 5 minutes"
)

// eksClock is the advice for clocks of EKS API servers.
const eksClock = ". On EKS, AWS runs the API server: contact AWS if its clock is wrong"

// Publish is the advice for an issuer that AWS cannot reach.
const Publish = "give the API server a public --service-account-issuer, and publish its discovery document and keys there (the webhook's SELF_HOSTED_SETUP.md shows how)"

// IssuerRule is the rule for an issuer that IAM does not accept.
const IssuerRule = "IAM does not accept an issuer that is an IP address or has a port: give the API server an issuer (--service-account-issuer) that is a public host name, without a port, and publish its discovery document and keys there (the webhook's SELF_HOSTED_SETUP.md shows how)"

// tokenRules apply to tokens that STS rejects.
var tokenRules = []rule{
	{
		codes: []string{"InvalidIdentityToken"}, phrases: []string{"retrieve verification key"}, kind: ErrUnavailable, heading: HeadingVerificationKey,
		fix:    "wait, or publish the issuer's keys",
		text:   "the library retries. If the failure persists for more than a few minutes: STS fetches the issuer's public keys over the internet, so check that {discovery} is public, and that its jwks_uri lists the key that signed the token. If that key was replaced, {newtoken}",
		source: "https://github.com/aws/aws-cli/issues/7194",
	},
	{
		codes: []string{"IDPCommunicationError"}, kind: ErrUnavailable, heading: HeadingVerificationKey,
		fix:    "wait, or publish the issuer's keys",
		text:   "the library retries. If the failure persists for more than a few minutes: STS fetches the issuer's public keys over the internet, so check that {discovery} and the jwks_uri in it are public",
		source: webIdentityDocument,
	},
	{
		phrases: []string{"not yet valid"}, kind: ErrTokenRejected, heading: HeadingClock,
		fix:    "correct the clock of the API server, and replace the token",
		text:   "by the clock of STS, the token is not valid yet, so the clock of the API server is ahead: set it (for example with chronyc makestep), check its time synchronization, and {newtoken}" + eksClock,
		source: "https://www.rfc-editor.org/rfc/rfc7519#section-4.1.5",
	},
	{
		codes: []string{"InvalidIdentityToken"}, when: isSecretToken, kind: ErrTokenRejected, heading: HeadingTokenRejected,
		fix:    projectedFix,
		text:   "the token has no audience, so it is not a projected token, but that of a service account's secret: remove AWS_WEB_IDENTITY_TOKEN_FILE from the container's own env and recreate the pod, so that the webhook sets it. If you mount the token yourself, use a projected volume with the audience sts.amazonaws.com",
		source: "https://kubernetes.io/docs/concepts/security/service-accounts/#auth-mechanisms",
	},
	{
		phrases: []string{missingClaim}, when: func(f Facts) bool { return f.TokenFile == "" }, kind: ErrTokenRejected, heading: HeadingTokenRejected,
		fix:    "return tokens with the claims iss, sub, aud, exp and iat",
		text:   "the token of Options.Token lacks a claim that STS requires. It must have iss, sub, aud, exp and iat, as the token of a TokenRequest has",
		source: tokenRequestDocument,
	},
	{
		phrases: []string{missingClaim}, kind: ErrTokenRejected, heading: HeadingTokenRejected, fix: projectedFix,
		text:   "the token lacks a claim that STS requires (iss, sub, aud, exp or iat), so it is not a projected token of a service account: set AWS_WEB_IDENTITY_TOKEN_FILE to one, with the audience sts.amazonaws.com",
		source: "https://github.com/aws/aws-sdk-ruby/issues/2698",
	},
	{
		phrases: []string{"No OpenIDConnect provider found"}, when: func(f Facts) bool { return IsUnregistrable(f.Claims.Issuer) },
		kind: ErrTokenRejected, heading: HeadingNoOIDCProvider,
		fix:    "change --service-account-issuer: IAM accepts no IP address and no port",
		text:   IssuerRule + ". Then create an OIDC provider for it in {account}, name it in the trust policies, and recreate the pods",
		source: issuerDocument,
	},
	{
		phrases: []string{"No OpenIDConnect provider found"}, when: func(f Facts) bool { return !IsPublic(f.Claims.Issuer) },
		kind: ErrTokenRejected, heading: HeadingNoOIDCProvider,
		fix:    "give the cluster a public issuer",
		text:   "the issuer is not a public https:// address, so AWS cannot fetch its keys: " + Publish + ". Then create an OIDC provider for it in {account}, name it in the trust policies, and recreate the pods",
		source: issuerDocument,
	},
	{
		phrases: []string{"No OpenIDConnect provider found"}, kind: ErrTokenRejected, heading: HeadingNoOIDCProvider,
		fix:    "create the OIDC provider in the role's account",
		text:   "the issuer has no OIDC provider in {account}. If the account and the cluster are the right ones, check that the role's trust policy names this issuer, and create the provider: aws iam create-open-id-connect-provider --url {issuerarg} --client-id-list {audiencearg}",
		source: "https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/2315",
	},
	{
		phrases: []string{"Incorrect token audience"}, when: func(f Facts) bool { return slices.Contains(f.Claims.Audience, STSAudience) }, kind: ErrTokenRejected, heading: HeadingAudience,
		fix:    "add the client ID sts.amazonaws.com to the OIDC provider",
		text:   "the OIDC provider in {account} does not accept the token's audience: aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {providerarg} --client-id {audiencearg}",
		source: "https://github.com/terraform-aws-modules/terraform-aws-eks/issues/1704",
	},
	{
		phrases: []string{"Incorrect token audience"}, when: func(f Facts) bool { return f.TokenFile != "" && len(f.Claims.Audience) == 0 }, kind: ErrTokenRejected, heading: HeadingAudience, fix: projectedFix,
		text:   "the token has no audience, so it is not a projected token for STS: set AWS_WEB_IDENTITY_TOKEN_FILE to one, with the audience sts.amazonaws.com",
		source: "https://github.com/aws/amazon-eks-pod-identity-webhook/blob/master/README.md",
	},
	{
		phrases: []string{"Incorrect token audience"}, when: func(f Facts) bool { return f.TokenFile == "" }, kind: ErrTokenRejected, heading: HeadingAudience,
		fix:    functionAudienceFix,
		text:   "the token of Options.Token is for {tokenaudience}, and STS expects sts.amazonaws.com: request one with that audience (spec.audiences of a TokenRequest)",
		source: tokenRequestDocument,
	},
	{
		phrases: []string{"Incorrect token audience"}, when: Facts.IsUnbound, kind: ErrTokenRejected, heading: HeadingAudience, fix: unboundAudienceFix, text: unboundAudienceText,
		source: createTokenDocument,
	},
	{
		phrases: []string{"Incorrect token audience"}, kind: ErrTokenRejected, heading: HeadingAudience,
		fix:    "set eks.amazonaws.com/audience, or the volume's audience, to sts.amazonaws.com",
		text:   "the token is for {tokenaudience}, and STS expects sts.amazonaws.com: if AWS_WEB_IDENTITY_TOKEN_FILE names the token of another system, set it to the IRSA token. Otherwise correct the service account's annotation eks.amazonaws.com/audience{annotate} or, if the pod declares the projected volume itself, the audience there; and recreate the pod{deletepod}",
		source: "https://github.com/aws/amazon-eks-pod-identity-webhook/blob/master/README.md",
	},
	{
		phrases: []string{"thumbprint"}, kind: ErrTokenRejected, heading: HeadingThumbprint,
		fix:    "update the thumbprint of the OIDC provider",
		text:   "the certificate of {issuer} does not match the thumbprints of its OIDC provider: aws iam update-open-id-connect-provider-thumbprint --open-id-connect-provider-arn {providerarg} --thumbprint-list THUMBPRINT, with the SHA-1 fingerprint of the topmost certificate in the issuer's chain. The command replaces all thumbprints",
		source: "https://github.com/terraform-aws-modules/terraform-aws-eks/issues/2542",
	},
	{
		when: func(f Facts) bool { return f.Claims.IssuedAt.After(f.Now.Add(time.Minute)) }, kind: ErrTokenRejected, heading: HeadingClock,
		fix:    "correct the clock of the API server or of this node",
		text:   "the token was issued at {issued}, which is in the future: set the wrong clock, that of the API server or of this node (for example with chronyc makestep), check its time synchronization, and {newtoken}" + eksClock,
		source: "https://www.rfc-editor.org/rfc/rfc7519#section-4.1.6",
	},
	{
		codes: []string{"InvalidIdentityToken", "IDPRejectedClaim"}, when: func(f Facts) bool { return f.TokenFile == "" }, kind: ErrTokenRejected, heading: HeadingTokenRejected,
		fix:    "check the tokens of Options.Token: audience, expiry and signing key",
		text:   "STS does not accept the token of Options.Token: check that it has the audience sts.amazonaws.com, that it has not expired, and that the issuer publishes the key that signed it",
		source: webIdentityDocument,
	},
	{
		codes: []string{"InvalidIdentityToken", "IDPRejectedClaim"}, when: Facts.IsUnbound, kind: ErrTokenRejected, heading: HeadingTokenRejected,
		fix:    "write a new token into the file",
		text:   "STS does not accept the token, which may have expired or been revoked: {newtoken}. If STS rejects that one too, " + checkKeys,
		source: createTokenDocument,
	},
	{
		codes: []string{"IDPRejectedClaim"}, kind: ErrTokenRejected, heading: HeadingTokenRejected,
		fix:    "recreate the pod: its token may have expired or been revoked",
		text:   "the issuer reports that the token is invalid, has expired or was revoked: {newtoken}. If STS rejects that one too, check that {tokenfile} is the projected token of the service account",
		source: webIdentityDocument,
	},
	{
		codes: []string{"InvalidParameterValue"}, only: webIdentityRole, when: func(f Facts) bool { return !f.IsAWS() || hasEndpoint(f) }, kind: ErrTokenRejected, heading: HeadingTokenRejected,
		fix:    "check the server's OpenID settings and the token's expiry",
		text:   "a server other than AWS, such as MinIO, returns this for a token that has expired, is from another issuer or for another audience: check its OpenID settings",
		source: "https://github.com/minio/minio/blob/master/docs/sts/web-identity.md",
	},
	{
		codes: []string{"InvalidIdentityToken"}, kind: ErrTokenRejected, heading: HeadingTokenRejected, fix: projectedFix, text: rejectedText,
		source: webIdentityDocument,
	},
	{
		kind: ErrTokenRejected, heading: HeadingTokenRejected, fix: projectedFix, text: rejectedText,
		source: webIdentityDocument,
	},
}

// clockRules apply to expired tokens and signatures.
var clockRules = []rule{
	{
		phrases: []string{"Signature expired", "Signature not yet current"}, codes: []string{"SignatureDoesNotMatch", "InvalidSignature"},
		only: chained, kind: ErrRejected, heading: HeadingClock, fix: nodeClockFix, text: signedText,
		source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html",
	},
	{
		codes: []string{"RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"}, only: chained, kind: ErrRejected, heading: HeadingClock, fix: nodeClockFix, text: signedText,
		source: commonErrors,
	},
	{
		codes: awserror.InvalidKeyCodes(), only: chained, kind: ErrRejected, heading: HeadingRefusedByService,
		fix:    "wait: the library requests new credentials; if this persists, check the clock",
		text:   "STS rejected the credentials of {signer}, and the library requests new ones. If this persists, check the clock of the node, and whether that role was deleted and created again",
		source: "https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html",
	},
	{
		when: func(f Facts) bool { return f.TokenFile != "" && f.Claims.Expiry.IsZero() }, kind: ErrTokenExpired, heading: HeadingTokenRejected, fix: projectedFix,
		text: "the token has no expiry, so it is not a projected token of a service account: set AWS_WEB_IDENTITY_TOKEN_FILE to one, with the audience sts.amazonaws.com",
	},
	{
		when: func(f Facts) bool { return f.Now.Before(f.Claims.Expiry) }, kind: ErrTokenExpired, heading: HeadingClock,
		fix:    "correct the clock of this node",
		text:   "the token expires at {expiry}, which this node's clock has not reached, so the clock is behind: set it (for example with chronyc makestep), and check its time synchronization",
		source: webIdentityDocument,
	},
	{
		codes: []string{"ExpiredToken"}, when: func(f Facts) bool { return f.TokenFile == "" }, kind: ErrTokenExpired, heading: HeadingTokenSource,
		fix:    "return a valid token from Options.Token on each call",
		text:   "Options.Token returned an expired token: it must return a valid token on each call",
		source: webIdentityDocument,
	},
	{
		when: Facts.IsUnbound, kind: ErrTokenExpired, heading: HeadingTokenNotRenewed,
		fix:    "write a new token into the file",
		text:   "the token expired at {expiry}. It is not bound to a pod, so the kubelet does not renew it: {newtoken}",
		source: createTokenDocument,
	},
	{
		when: func(f Facts) bool { return f.File.NeverRenewed }, kind: ErrTokenExpired, heading: HeadingTokenNotRenewed,
		fix:    "mount the whole volume, without subPath",
		text:   "the token is a regular file, not a link into the projected volume, so the kubelet never renews it: mount the whole volume, without subPath, and do not copy the token",
		source: volumeDocument,
	},
	{
		kind: ErrTokenExpired, heading: HeadingTokenExpired, fix: "check the service account and the kubelet, and recreate the pod",
		text:   "the kubelet has not renewed the token, which expired at {expiry}: check that the service account still exists{getaccount}, and that the kubelet of this node is running and reaches the API server (kubectl get node); then recreate the pod{deletepod}",
		source: "https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/",
	},
}

// missingClaim is part of STS's message for a token that lacks a claim.
// https://github.com/aws/aws-sdk-ruby/issues/2698
const missingClaim = "Missing a required claim"

// isSecretToken reports whether the file contains the token from a service account secret, which has
// neither an audience nor an expiry.
func isSecretToken(f Facts) bool {
	return f.TokenFile != "" && f.Claims.Issuer != "" && len(f.Claims.Audience) == 0 && f.Claims.Expiry.IsZero()
}
