package explain

// Heading is the anchor of a section of TROUBLESHOOTING.md, which describes a cause, how to confirm
// it and how to fix it.
type Heading string

// Headings in TROUBLESHOOTING.md.
const (
	HeadingNotInjected      Heading = "not-injected"
	HeadingHalfInjected     Heading = "half-injected"
	HeadingPodIdentity      Heading = "pod-identity"
	HeadingRoleARN          Heading = "role-arn"
	HeadingSettings         Heading = "settings"
	HeadingRegion           Heading = "region"
	HeadingEndpoint         Heading = "endpoint"
	HeadingNotFollowed      Heading = "not-followed"
	HeadingOtherCredentials Heading = "other-credentials"
	HeadingTokenMissing     Heading = "token-missing"
	HeadingTokenPermission  Heading = "token-permission"
	HeadingTokenMalformed   Heading = "token-malformed"
	HeadingTokenSource      Heading = "token-source"
	HeadingTokenExpired     Heading = "token-expired"
	HeadingTokenNotRenewed  Heading = "token-not-renewed"
	HeadingClock            Heading = "clock"
	HeadingNoOIDCProvider   Heading = "no-oidc-provider"
	HeadingAudience         Heading = "audience"
	HeadingThumbprint       Heading = "thumbprint"
	HeadingVerificationKey  Heading = "verification-key"
	HeadingTokenRejected    Heading = "token-rejected"
	HeadingAccessDenied     Heading = "access-denied"
	HeadingRoleChain        Heading = "role-chain"
	HeadingThrottled        Heading = "throttled"
	HeadingSessionDuration  Heading = "session-duration"
	HeadingSessionPolicy    Heading = "session-policy"
	HeadingRegionDisabled   Heading = "region-disabled"
	HeadingInvalidRequest   Heading = "invalid-request"
	HeadingNotSTS           Heading = "not-sts"
	HeadingSTSUnavailable   Heading = "sts-unavailable"
	HeadingNameResolution   Heading = "name-resolution"
	HeadingConnection       Heading = "connection"
	HeadingTimeout          Heading = "timeout"
	HeadingTLS              Heading = "tls"
	HeadingProxy            Heading = "proxy"
	HeadingRefusedByService Heading = "refused-by-a-service"
	HeadingMinTTL           Heading = "min-ttl"
	HeadingPoolFull         Heading = "pool-full"
	HeadingClosed           Heading = "closed"
)

// Link returns the URL of the heading, or "" for the empty heading.
func (h Heading) Link() string {
	if h == "" {
		return ""
	}
	return "https://github.com/irsakit/irsakit/blob/main/TROUBLESHOOTING.md#" + string(h)
}
