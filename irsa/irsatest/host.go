package irsatest

import (
	"regexp"
	"slices"
	"strings"
)

// stsHost is how the endpoints of STS are named: with FIPS or without, for a region or,
// as sts.amazonaws.com, for all. https://docs.aws.amazon.com/general/latest/gr/sts.html
var stsHost = regexp.MustCompile(`^sts(?:-fips)?\.(?:([a-z]+(?:-[a-z]+)+-\d+)\.)?([a-z.]+)$`)

// stsRegion returns the region of a host of STS, with or without a port, and whether it
// is one that this Cluster's partition has.
func (k *Cluster) stsRegion(host string) (region string, ok bool) {
	host, _, _ = strings.Cut(strings.ToLower(host), ":")
	if "https://"+host == memoryEndpoint {
		return k.region, true
	}
	match := stsHost.FindStringSubmatch(host)
	if match == nil || !slices.Contains(dnsSuffixes(k.region), match[2]) {
		return "", false
	}
	if match[1] == "" {
		return "us-east-1", partition(k.region) == "aws"
	}
	return match[1], partition(match[1]) == partition(k.region)
}

// hasRegion says whether the Cluster, or one of its pods, is in the region.
func (k *Cluster) hasRegion(region string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return region == k.region || slices.Contains(k.podRegions, region)
}

// partition is the first field of the ARNs of a region.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	default:
		return "aws"
	}
}

// dnsSuffixes are the domains of a region's service endpoints: the usual one, and the
// one of dual stack.
func dnsSuffixes(region string) []string {
	if partition(region) == "aws-cn" {
		return []string{"amazonaws.com.cn", "api.amazonwebservices.com.cn"}
	}
	return []string{"amazonaws.com", "api.aws"}
}
