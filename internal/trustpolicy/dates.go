package trustpolicy

import (
	"fmt"
	"net/netip"
	"time"
)

// date returns a date comparison. Its argument reports whether the sign of found - expected satisfies
// the operator.
func date(is func(sign int) bool) func(value, string) verdict {
	return func(expected value, found string) verdict {
		a, ok := parseDate(found)
		b, expectedOK := parseDate(expected.text())
		if !ok || !expectedOK {
			return unknown
		}
		return verdictOf(is(a.Compare(b)))
	}
}

// parseDate parses a date in the W3C profile of ISO 8601, or in seconds since the Unix epoch.
// https://www.w3.org/TR/NOTE-datetime
func parseDate(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01", "2006"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	n, ok := number(text)
	if !ok || !n.IsInt() || !n.Num().IsInt64() {
		return time.Time{}, false
	}
	return time.Unix(n.Num().Int64(), 0), true
}

func aDate(v value) error {
	if _, ok := parseDate(v.written); !ok {
		return fmt.Errorf("%q is not a date", v.written)
	}
	return nil
}

// inNetwork compares an IP address with a network or an address. The result is unknown if either is
// invalid.
func inNetwork(expected value, found string) verdict {
	network, ok := parseNetwork(expected.text())
	address, err := netip.ParseAddr(found)
	if !ok || err != nil {
		return unknown
	}
	return verdictOf(network.Contains(address))
}

// parseNetwork parses a network in CIDR notation (RFC 4632). A missing prefix length means a single
// address.
func parseNetwork(text string) (netip.Prefix, bool) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		return netip.PrefixFrom(address, address.BitLen()), true
	}
	network, err := netip.ParsePrefix(text)
	return network, err == nil
}

func aNetwork(v value) error {
	if _, ok := parseNetwork(v.written); !ok {
		return fmt.Errorf("%q is not an IP address or a network", v.written)
	}
	return nil
}
