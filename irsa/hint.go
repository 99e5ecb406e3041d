package irsa

import (
	"errors"

	"github.com/irsakit/irsakit/cache"
)

// hint is advice on how to fix a failure.
type hint struct {
	heading heading
	cure    string // one line; empty if the text of the failure contains the advice
}

// heading is the anchor of a section of TROUBLESHOOTING.md. Each describes a cause, how to
// confirm it and how to fix it.
type heading string

const (
	headingNotInjected      heading = "not-injected"
	headingHalfInjected     heading = "half-injected"
	headingPodIdentity      heading = "pod-identity"
	headingRoleARN          heading = "role-arn"
	headingSettings         heading = "settings"
	headingRegion           heading = "region"
	headingEndpoint         heading = "endpoint"
	headingNotFollowed      heading = "not-followed"
	headingOtherCredentials heading = "other-credentials"
	headingTokenMissing     heading = "token-missing"
	headingTokenPermission  heading = "token-permission"
	headingTokenMalformed   heading = "token-malformed"
	headingTokenSource      heading = "token-source"
	headingTokenExpired     heading = "token-expired"
	headingTokenNotRenewed  heading = "token-not-renewed"
	headingClock            heading = "clock"
	headingNoOIDCProvider   heading = "no-oidc-provider"
	headingAudience         heading = "audience"
	headingThumbprint       heading = "thumbprint"
	headingVerificationKey  heading = "verification-key"
	headingTokenRejected    heading = "token-rejected"
	headingAccessDenied     heading = "access-denied"
	headingRoleChain        heading = "role-chain"
	headingThrottled        heading = "throttled"
	headingSessionDuration  heading = "session-duration"
	headingSessionPolicy    heading = "session-policy"
	headingRegionDisabled   heading = "region-disabled"
	headingInvalidRequest   heading = "invalid-request"
	headingNotSTS           heading = "not-sts"
	headingSTSUnavailable   heading = "sts-unavailable"
	headingNameResolution   heading = "name-resolution"
	headingConnection       heading = "connection"
	headingTimeout          heading = "timeout"
	headingTLS              heading = "tls"
	headingProxy            heading = "proxy"
	headingRefusedByService heading = "refused-by-a-service"
	headingMinTTL           heading = "min-ttl"
	headingClosed           heading = "closed"
)

// link returns the URL of the heading, or "" for the empty heading.
func (h heading) link() string {
	if h == "" {
		return ""
	}
	return "https://github.com/irsakit/irsakit/blob/main/TROUBLESHOOTING.md#" + string(h)
}

// hintOf returns the advice for an Error of an attempt.
func hintOf(e *Error) hint {
	switch {
	case e.Is(ErrNotConfigured):
		return hint{heading: headingEndpoint} // the error text contains the advice
	case e.Is(ErrTokenFile):
		return tokenFileHint(e)
	case e.Is(ErrTokenExpired):
		return tokenExpiredHint(e)
	case e.Is(ErrTokenRejected):
		return tokenRejectedHint(e)
	case e.Is(ErrAccessDenied):
		return accessDeniedHint(e)
	case e.Is(ErrThrottled):
		return hint{headingThrottled, "it is tried again by itself; all callers in the account and region share STS's limit: look for a program that asks for new credentials all the time"}
	case e.Is(ErrInvalidRequest):
		return invalidRequestHint(e)
	case e.Is(ErrUnavailable):
		return unavailableHint(e)
	case e.Is(ErrRefused):
		return hint{headingRefusedByService, "a service called the credentials expired: check the clocks of the node and of that service"}
	default:
		return hint{}
	}
}

// cacheHint returns the advice for an error of the cache itself.
func cacheHint(err error) hint {
	switch {
	case errors.Is(err, cache.ErrClosed):
		return hint{headingClosed, "close it when nobody uses it any more"}
	case errors.Is(err, cache.ErrMinTTL):
		return hint{heading: headingMinTTL}
	default:
		return hint{}
	}
}

// set sets the advice and its link.
func (e *Error) set(h hint) { e.Cure, e.Link = oneLine(h.cure), h.heading.link() }
