package explain

import (
	"strings"

	"github.com/irsakit/irsakit/internal/lazyregexp"
)

// eksIssuer matches issuers of EKS clusters, including dual-stack names, and captures the region. The
// domains are those of the partitions in the SDK's endpoint rules.
var eksIssuer = lazyregexp.New(`^https://oidc[.-]eks\.([a-z][a-z0-9-]*)\.(?:amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu` +
	`|api\.aws|api\.amazonwebservices\.com\.cn|api\.amazonwebservices\.eu|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)/id/`)

// IssuerRegion returns the region of an EKS cluster from its token issuer, or "" for any other
// issuer.
func IssuerRegion(issuer string) string { return group(eksIssuer, issuer) }

// ZoneRegion returns the region in the name of an Availability Zone, Local Zone or Wavelength Zone,
// or "" for any other name.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-regions-availability-zones.html
func ZoneRegion(name string) string {
	if len(name) > maxQuoted {
		return ""
	}
	region, rest := CutRegion(name)
	isZone := len(rest) == 1 && rest[0] >= 'a' && rest[0] <= 'z' || strings.HasPrefix(rest, "-")
	if area := strings.Index(region, "-"); area < 2 || area > 4 || !isZone {
		return ""
	}
	return region
}

// CutRegion splits text after the name of an AWS region such as "us-west-2" at its beginning. If
// there is none, region is empty.
func CutRegion(text string) (region, rest string) {
	words := strings.TrimLeft(text, "abcdefghijklmnopqrstuvwxyz-")
	rest = strings.TrimLeft(words, "0123456789")
	letters := text[:len(text)-len(words)]
	if rest == words || !strings.HasSuffix(letters, "-") || strings.Count(letters, "-") < 2 {
		return "", text
	}
	return text[:len(text)-len(rest)], rest
}

// group returns the first capturing group of a match, or "".
func group(expression *lazyregexp.Regexp, text string) string {
	match := expression.FindStringSubmatch(text)
	if match == nil {
		return ""
	}
	return match[1]
}
