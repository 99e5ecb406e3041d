package explain

import (
	"errors"
	"io/fs"
	"time"

	"github.com/irsakit/irsakit/tokenfile"
)

const (
	webIdentityDocument = "https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html"
	issuerDocument      = "https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html"
	volumeDocument      = "https://kubernetes.io/docs/concepts/storage/projected-volumes/"
)

// Publish is the advice for an issuer that AWS cannot reach.
const Publish = "give the API server a public --service-account-issuer and publish its discovery document and keys there"

// IssuerRule is the rule for an issuer that IAM does not accept.
const IssuerRule = "IAM accepts no issuer that is an IP address or has a port: give the API server an issuer (--service-account-issuer) that is a public host name, without a port, and publish its discovery document and keys there"

// tokenRules are the causes for which STS rejects a token.
var tokenRules = []rule{
	{
		codes: []string{"InvalidIdentityToken"}, phrases: []string{"retrieve verification key"}, kind: ErrUnavailable, heading: HeadingVerificationKey,
		fix:    "wait, or let the internet reach the issuer's public keys",
		text:   "the library retries. If the failure lasts for more than some minutes: STS fetches the issuer's public keys over the internet, so check that {issuer}/.well-known/openid-configuration is public, and that its jwks_uri lists the key that signed the token. If that key was replaced, recreate the pod{deletepod}: its new token is signed with the current key",
		source: "https://github.com/aws/aws-cli/issues/7194",
	},
	{
		codes: []string{"IDPCommunicationError"}, kind: ErrUnavailable, heading: HeadingVerificationKey,
		fix:    "wait, or let the internet reach the issuer's public keys",
		text:   "the library retries. If the failure lasts for more than some minutes: STS fetches the issuer's public keys over the internet, so check that {issuer}/.well-known/openid-configuration and the jwks_uri in it are public",
		source: webIdentityDocument,
	},
	{
		when: func(f Facts) bool { return f.Claims.IssuedAt.After(f.Now.Add(time.Minute)) }, kind: ErrTokenRejected, heading: HeadingClock,
		fix:    "correct the clock of the API server or of this node",
		text:   "the token was issued at {issued}, which is in the future: set the wrong clock, that of the API server or of this node (for example with chronyc makestep), check its time synchronization, and recreate the pod{deletepod}",
		source: "https://www.rfc-editor.org/rfc/rfc7519#section-4.1.6",
	},
	{
		phrases: []string{"not yet valid"}, kind: ErrTokenRejected, heading: HeadingClock,
		fix:    "correct the clock of the API server or of this node",
		text:   "by the clock of STS, the token is not valid yet: set the wrong clock, that of the API server or of this node (for example with chronyc makestep), check its time synchronization, and recreate the pod{deletepod}",
		source: "https://www.rfc-editor.org/rfc/rfc7519#section-4.1.5",
	},
	{
		phrases: []string{"No OpenIDConnect provider found"}, when: func(f Facts) bool { return IsUnregistrable(f.Claims.Issuer) },
		kind: ErrTokenRejected, heading: HeadingNoOIDCProvider,
		fix:    "use an issuer with a host name and no port; IAM accepts no other",
		text:   IssuerRule + ", and create an OIDC provider for it in {account}",
		source: issuerDocument,
	},
	{
		phrases: []string{"No OpenIDConnect provider found"}, when: func(f Facts) bool { return !IsPublic(f.Claims.Issuer) },
		kind: ErrTokenRejected, heading: HeadingNoOIDCProvider,
		fix:    "give the cluster a public issuer",
		text:   "the issuer is not a public https:// address, so AWS cannot fetch its keys: " + Publish + ", and create an OIDC provider for it in {account}",
		source: issuerDocument,
	},
	{
		phrases: []string{"No OpenIDConnect provider found"}, kind: ErrTokenRejected, heading: HeadingNoOIDCProvider,
		fix:    "create the OIDC provider in the role's account",
		text:   "the issuer has no OIDC provider in {account}. If the account and the cluster are the right ones, create it there: aws iam create-open-id-connect-provider --url {issuerarg} --client-id-list {audiencearg}",
		source: "https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/2315",
	},
	{
		phrases: []string{"Incorrect token audience"}, when: func(f Facts) bool { return f.audience() == STSAudience }, kind: ErrTokenRejected, heading: HeadingAudience,
		fix:    "add the client ID sts.amazonaws.com to the OIDC provider",
		text:   "the OIDC provider in {account} does not accept the token's audience: aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {providerarg} --client-id {audiencearg}",
		source: "https://github.com/terraform-aws-modules/terraform-aws-eks/issues/1704",
	},
	{
		phrases: []string{"Incorrect token audience"}, kind: ErrTokenRejected, heading: HeadingAudience,
		fix:    "set the audience annotation, or the volume's audience, to sts.amazonaws.com",
		text:   "the token is for {tokenaudience}, and has to be for sts.amazonaws.com, in every partition: correct the audience of the projected volume, or of the service account's annotation eks.amazonaws.com/audience{annotate}, and recreate the pod{deletepod}",
		source: "https://github.com/aws/amazon-eks-pod-identity-webhook/blob/master/README.md",
	},
	{
		phrases: []string{"thumbprint"}, kind: ErrTokenRejected, heading: HeadingThumbprint,
		fix:    "update the thumbprint of the OIDC provider",
		text:   "the issuer's certificate has changed: aws iam update-open-id-connect-provider-thumbprint --open-id-connect-provider-arn {providerarg} --thumbprint-list THUMBPRINT, with the SHA-1 of the topmost authority's certificate",
		source: "https://github.com/terraform-aws-modules/terraform-aws-eks/issues/2542",
	},
	{
		codes: []string{"IDPRejectedClaim"}, kind: ErrTokenRejected, heading: HeadingTokenRejected,
		fix:    "check that the pod and its service account still exist",
		text:   "the issuer reports that the token is invalid or revoked: check that the service account and the pod that it names still exist, and that the file is a projected token",
		source: webIdentityDocument,
	},
	{
		codes: []string{"InvalidParameterValue"}, kind: ErrTokenRejected, heading: HeadingTokenRejected,
		fix:    "check the server's OpenID settings and the token's expiry",
		text:   "a server other than AWS, such as MinIO, returns this for a token that has expired, is from another issuer or for another audience: check its OpenID settings",
		source: "https://github.com/minio/minio/blob/master/docs/sts/web-identity.md",
	},
	{
		codes: []string{"InvalidIdentityToken"}, kind: ErrTokenRejected, heading: HeadingTokenRejected,
		fix:    "use the projected token of a service account",
		text:   "STS does not accept the token: check that the file is the projected token of a service account, and no other kind of token. If it is, recreate the pod{deletepod}, which gets a new one",
		source: webIdentityDocument,
	},
	{
		kind: ErrTokenRejected, heading: HeadingTokenRejected, fix: "use the projected token of a service account",
		text:   "STS does not accept the token: check that the file is the projected token of a service account, and no other kind of token. If it is, recreate the pod{deletepod}, which gets a new one",
		source: webIdentityDocument,
	},
}

// clockRules are the causes of expired tokens and signatures.
var clockRules = []rule{
	{
		phrases: []string{"Signature expired", "Signature not yet current"}, codes: []string{"SignatureDoesNotMatch", "InvalidSignatureException"},
		only: chained, kind: ErrRejected, heading: HeadingClock,
		fix:    "correct the clock of this node",
		text:   "by the clock of STS, the request was signed at another time: set the clock of this node (for example with chronyc makestep), and check its time synchronization. Services accept a difference of at most 5 minutes",
		source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html",
	},
	{
		codes: []string{"RequestExpired", "RequestTimeTooSkewed"}, only: chained, kind: ErrRejected, heading: HeadingClock,
		fix:    "correct the clock of this node",
		text:   "by the clock of STS, the request was signed at another time: set the clock of this node (for example with chronyc makestep), and check its time synchronization. Services accept a difference of at most 5 minutes",
		source: commonErrors,
	},
	{
		codes: []string{"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId"}, only: chained, kind: ErrRejected, heading: HeadingRefusedByService,
		fix:    "check the clocks, and whether the source role was replaced",
		text:   "STS rejected the credentials of {signer}: they are replaced by themselves. If this lasts, check the clocks of the node and of STS, and whether that role was deleted and created again",
		source: "https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html",
	},
	{
		codes: []string{"ExpiredToken", "ExpiredTokenException"}, when: func(f Facts) bool { return f.TokenFile == "" }, kind: ErrTokenExpired, heading: HeadingTokenSource,
		fix:    "let Options.Token return a new token for each call",
		text:   "Options.Token returned a token that has expired: it has to return one that is valid for each call",
		source: webIdentityDocument,
	},
	{
		when: func(f Facts) bool { return f.TokenFile != "" && f.Now.Before(f.Claims.Expiry) }, kind: ErrTokenExpired, heading: HeadingClock,
		fix:    "correct the clock of this node",
		text:   "the token expires at {expiry}, which this node's clock has not reached, so the clock is behind: set it (for example with chronyc makestep), and check its time synchronization",
		source: webIdentityDocument,
	},
	{
		when: func(f Facts) bool { return f.File.NeverRenewed }, kind: ErrTokenExpired, heading: HeadingTokenNotRenewed,
		fix:    "mount the whole volume, without subPath",
		text:   "the token is a regular file, not a link into the projected volume, so the kubelet never renews it: mount the whole volume, without subPath, and do not copy the token",
		source: volumeDocument,
	},
	{
		kind: ErrTokenExpired, heading: HeadingTokenExpired, fix: "check the service account and the kubelet, or recreate the pod",
		text:   "the token expired at {expiry}, although the kubelet renews it after 80% of its lifetime: check that the service account still exists and that the kubelet reaches the API server, or recreate the pod{deletepod}",
		source: "https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/",
	},
}

// tokenFileRules are the causes for which there is no token.
var tokenFileRules = []rule{
	{
		when: func(f Facts) bool { return f.TokenFile == "" }, kind: ErrTokenFile, heading: HeadingTokenSource,
		fix:  "correct the function in Options.Token",
		text: "correct the function in Options.Token, which returned the error above. If Kubernetes forbids the request, grant the permission to create serviceaccounts/token",
	},
	{
		when: func(f Facts) bool { return errors.Is(f.Err, fs.ErrNotExist) }, kind: ErrTokenFile, heading: HeadingTokenMissing,
		fix:    "mount the projected volume in this container",
		text:   "{missing}: check that the pod has the projected volume, and that this container mounts it",
		source: "https://github.com/boto/botocore/issues/2351",
	},
	{
		when: func(f Facts) bool { return errors.Is(f.Err, fs.ErrPermission) && f.File.isReadable() }, kind: ErrTokenFile, heading: HeadingTokenPermission,
		fix:    "check the folder's mode and the node's security module",
		text:   "{access}, so the mode of the file is not the cause: check the mode of the folders above it, and what SELinux or AppArmor denies on the node",
		source: "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
	},
	{
		when: func(f Facts) bool { return errors.Is(f.Err, fs.ErrPermission) }, kind: ErrTokenFile, heading: HeadingTokenPermission,
		fix:    "set securityContext.fsGroup in the pod",
		text:   "{access}: set securityContext.fsGroup in the pod, so that the kubelet lets the process's group read the token",
		source: "https://github.com/aws/amazon-eks-pod-identity-webhook/issues/8",
	},
	{
		phrases: []string{"it begins with"}, kind: ErrTokenFile, heading: HeadingTokenMalformed,
		fix:  "write only the token into the file",
		text: "the file must contain only the token, without quotes, JSON, Bearer or a byte order mark: correct the program that writes it. In the response of the TokenRequest API, the token is status.token",
	},
	{
		phrases: []string{"STS accepts 4 to 20000"}, kind: ErrTokenFile, heading: HeadingTokenMalformed,
		fix:  "shorten the token: STS accepts at most 20,000 bytes",
		text: "STS accepts tokens of 4 to 20,000 bytes: check what writes the file, and the claims that its issuer adds",
	},
	{
		when: func(f Facts) bool { return errors.Is(f.Err, tokenfile.ErrMalformed) }, kind: ErrTokenFile, heading: HeadingTokenMalformed,
		fix:    "check the path of the token file, and what writes it",
		text:   "the file has to contain one JWT and nothing else: check that AWS_WEB_IDENTITY_TOKEN_FILE names the right file, and what writes it, if that is not the kubelet",
		source: "https://github.com/aws/amazon-eks-pod-identity-webhook/issues/232",
	},
	{
		kind: ErrTokenFile, heading: HeadingTokenMalformed, fix: "let AWS_WEB_IDENTITY_TOKEN_FILE name the token file itself",
		text: "the path has to name the token file itself: correct AWS_WEB_IDENTITY_TOKEN_FILE",
	},
}
