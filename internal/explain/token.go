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

// ClockTime returns t in UTC, in RFC 3339 format.
func ClockTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
