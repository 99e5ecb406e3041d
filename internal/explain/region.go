package explain

import "github.com/irsakit/irsakit/internal/lazyregexp"

// eksIssuer matches the issuers of EKS clusters, with IPv4 or dual-stack names. Its group is the
// region.
var eksIssuer = lazyregexp.New(`^https://oidc[.-]eks\.([a-z0-9-]+)\.(?:amazonaws\.com|amazonaws\.com\.cn|api\.aws|api\.amazonwebservices\.com\.cn)/id/`)

// IssuerRegion returns the region of an EKS cluster from the issuer of its tokens, or "" for any other
// issuer.
func IssuerRegion(issuer string) string { return group(eksIssuer, issuer) }

// zoneName matches the names of Availability Zones, Local Zones and Wavelength Zones, which begin with
// the region. Its group is the region.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-regions-availability-zones.html
var zoneName = lazyregexp.New(`^([a-z]{2,4}(?:-[a-z]+)+-\d+)(?:[a-z]|-[a-z0-9-]+)$`)

// ZoneRegion returns the region of a zone, or "" if name is not that of a zone.
func ZoneRegion(name string) string {
	if len(name) > maxQuoted {
		return ""
	}
	return group(zoneName, name)
}

// group returns the first group of a match, or "".
func group(expression *lazyregexp.Regexp, text string) string {
	match := expression.FindStringSubmatch(text)
	if match == nil {
		return ""
	}
	return match[1]
}
