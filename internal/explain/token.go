package explain

import (
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// IsPublic reports whether AWS may be able to fetch the issuer's keys.
func IsPublic(issuer string) bool {
	u, err := url.Parse(issuer)
	return err == nil && u.Scheme == "https" && strings.Contains(u.Hostname(), ".") && !IsUnregistrable(issuer) && !isReservedName(u.Hostname())
}

// isReservedName reports whether a host name cannot exist on the internet, because it is internal to
// the cluster or in a domain reserved for private networks (RFC 6761, RFC 6762, and ICANN's
// resolution of 2024-07-29).
func isReservedName(host string) bool {
	host = "." + strings.ToLower(strings.TrimSuffix(host, ".")) + "."
	return strings.Contains(host, ".svc.") || strings.HasSuffix(host, ".local.") || strings.HasSuffix(host, ".internal.") || strings.HasSuffix(host, ".localhost.")
}

// IsUnregistrable reports whether IAM does not accept an OIDC provider for the issuer, because it has
// a port or is an IP address.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html
func IsUnregistrable(issuer string) bool {
	u, err := url.Parse(issuer)
	if err != nil {
		return false
	}
	_, err = netip.ParseAddr(u.Hostname())
	return u.Port() != "" || err == nil
}

// IsUnbound reports whether the file contains a service account's token that is not bound to a pod,
// such as one from kubectl create token. The kubelet binds tokens to their pod.
func (f Facts) IsUnbound() bool {
	return f.TokenFile != "" && f.Claims.ServiceAccount != "" && f.Claims.Pod == ""
}

// newToken returns advice on how to replace the token with a new one for audience.
func (f Facts) newToken(audience string) string {
	if !f.IsUnbound() {
		return "recreate the pod" + f.deletePod() + ", which gets a new token"
	}
	return "write a new token into the file" + inParentheses("", f.kubectl("create token", f.Claims.ServiceAccount, " --audience "+argument(audience)))
}

// ClockTime returns t in UTC, in RFC 3339 format.
func ClockTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
