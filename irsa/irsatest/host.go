package irsatest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// stsHost matches STS hosts: regional hosts, with or without FIPS, and the global sts.amazonaws.com.
// https://docs.aws.amazon.com/general/latest/gr/sts.html
var stsHost = regexp.MustCompile(`^sts(-fips)?\.(?:([a-z]+(?:-[a-z]+)+-\d+)\.)?([a-z0-9.-]+)$`)

// stsRegion returns the region of an STS host, which may include a port. It returns false if host is
// not an STS endpoint in the Cluster's partition.
func (k *Cluster) stsRegion(host string) (region string, ok bool) {
	host, _, _ = strings.Cut(strings.ToLower(host), ":")
	if "https://"+host == memoryEndpoint {
		return k.region, true
	}
	match := stsHost.FindStringSubmatch(host)
	if match == nil || !slices.Contains(dnsSuffixes(k.region), match[3]) {
		return "", false
	}
	fips, region := match[1] != "", match[2]
	switch {
	case fips && !strings.HasPrefix(region, "us-"): // STS has FIPS endpoints only in the United States
		return "", false
	case region == "":
		return "us-east-1", partition(k.region) == "aws"
	}
	return region, partition(region) == partition(k.region)
}

// hasRegion reports whether the Cluster or any of its pods is in the region.
func (k *Cluster) hasRegion(region string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return region == k.region || slices.Contains(k.podRegions, region)
}

// awsPartition is a group of AWS regions.
type awsPartition struct {
	name     string         // the second field of ARNs
	regions  *regexp.Regexp // matches the names of its regions
	suffixes []string       // the standard and dual-stack domains of service endpoints
}

// partitions is based on the SDK's partitions.json, in
// github.com/aws/aws-sdk-go-v2/internal/endpoints/awsrulesfn.
var partitions = []awsPartition{
	{"aws", regexp.MustCompile(`^(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d+$`), []string{"amazonaws.com", "api.aws"}},
	{"aws-cn", regexp.MustCompile(`^cn-[a-z]+-\d+$`), []string{"amazonaws.com.cn", "api.amazonwebservices.com.cn"}},
	{"aws-us-gov", regexp.MustCompile(`^us-gov-[a-z]+-\d+$`), []string{"amazonaws.com", "api.aws"}},
	{"aws-eusc", regexp.MustCompile(`^eusc-de-[a-z]+-\d+$`), []string{"amazonaws.eu", "api.amazonwebservices.eu"}},
	{"aws-iso", regexp.MustCompile(`^us-iso-[a-z]+-\d+$`), []string{"c2s.ic.gov", "api.aws.ic.gov"}},
	{"aws-iso-b", regexp.MustCompile(`^us-isob-[a-z]+-\d+$`), []string{"sc2s.sgov.gov", "api.aws.scloud"}},
	{"aws-iso-e", regexp.MustCompile(`^eu-isoe-[a-z]+-\d+$`), []string{"cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"}},
	{"aws-iso-f", regexp.MustCompile(`^us-isof-[a-z]+-\d+$`), []string{"csp.hci.ic.gov", "api.aws.hci.ic.gov"}},
}

// partitionOf returns a region's partition, or the zero value if there is none.
func partitionOf(region string) awsPartition {
	for _, p := range partitions {
		if p.regions.MatchString(region) {
			return p
		}
	}
	return awsPartition{}
}

// checkRegion returns an error if region is not in any AWS partition.
func checkRegion(region string) error {
	if partitionOf(region).name == "" {
		return fmt.Errorf("%q is not the name of an AWS region, such as us-west-2", region)
	}
	return nil
}

// partition returns the name of a region's partition.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
func partition(region string) string { return partitionOf(region).name }

// dnsSuffixes returns the domains of a region's service endpoints.
func dnsSuffixes(region string) []string { return partitionOf(region).suffixes }
