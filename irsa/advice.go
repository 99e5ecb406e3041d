package irsa

import (
	"errors"

	"github.com/irsakit/irsakit/cache"
)

// advice describes how to fix a failure.
type advice struct {
	heading heading
	text    string // one line; empty if the text of the failure contains the advice
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

// adviceFor returns the advice for an Error of an attempt.
func adviceFor(e *Error) advice {
	switch {
	case e.Is(ErrNotConfigured):
		return advice{heading: headingEndpoint} // the error text contains the advice
	case e.Is(ErrTokenFile):
		return tokenFileAdvice(e)
	case e.Is(ErrTokenExpired):
		return tokenExpiredAdvice(e)
	case e.Is(ErrTokenRejected):
		return tokenRejectedAdvice(e)
	case e.Is(ErrAccessDenied):
		return accessDeniedAdvice(e)
	case e.Is(ErrThrottled):
		return advice{headingThrottled, "it is tried again by itself; all callers in the account and region share STS's limit: look for a program that asks for new credentials all the time"}
	case e.Is(ErrInvalidRequest):
		return invalidRequestAdvice(e)
	case e.Is(ErrUnavailable):
		return unavailableAdvice(e)
	case e.Is(ErrRefused):
		return advice{headingRefusedByService, "a service called the credentials expired: check the clocks of the node and of that service"}
	default:
		return advice{}
	}
}

// cacheAdvice returns the advice for an error of the cache itself.
func cacheAdvice(err error) advice {
	switch {
	case errors.Is(err, cache.ErrClosed):
		return advice{headingClosed, "close it when nobody uses it any more"}
	case errors.Is(err, cache.ErrMinTTL):
		return advice{heading: headingMinTTL}
	default:
		return advice{}
	}
}

// set sets the advice and its link.
func (e *Error) set(a advice) { e.Cure, e.Link = oneLine(a.text), a.heading.link() }
