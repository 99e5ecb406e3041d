package irsatest

import (
	"regexp"
	"slices"
	"strings"
)

// stsHost matches the hosts of STS endpoints: FIPS or not, regional or, as
// sts.amazonaws.com, global. https://docs.aws.amazon.com/general/latest/gr/sts.html
var stsHost = regexp.MustCompile(`^sts(?:-fips)?\.(?:([a-z]+(?:-[a-z]+)+-\d+)\.)?([a-z.]+)$`)

// stsRegion returns the region of an STS host, with or without a port, and whether the
// region is in this Cluster's partition.
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

// hasRegion reports whether the Cluster, or one of its pods, is in the region.
func (k *Cluster) hasRegion(region string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return region == k.region || slices.Contains(k.podRegions, region)
}

// partition returns the partition of a region, the second field of its ARNs.
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

// dnsSuffixes returns the domains of a region's service endpoints: the standard domain,
// and the dual-stack domain.
func dnsSuffixes(region string) []string {
	if partition(region) == "aws-cn" {
		return []string{"amazonaws.com.cn", "api.amazonwebservices.com.cn"}
	}
	return []string{"amazonaws.com", "api.aws"}
}
