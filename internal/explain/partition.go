package explain

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/irsakit/irsakit/internal/awserror"
)

// STSAudience is the audience required in tokens for every partition
// (amazon-eks-pod-identity-webhook, README).
const STSAudience = "sts.amazonaws.com"

// WithoutScheme returns an issuer URL without its scheme, which is how IAM names the issuer.
func WithoutScheme(issuer string) string {
	_, name, found := strings.Cut(issuer, "://")
	if !found {
		return issuer
	}
	return name
}

// OtherPartition returns the partition of the region if it differs from the role's, or "".
func (f Facts) OtherPartition() string {
	role, err := arn.Parse(f.RoleARN)
	home := partitionOf(f.Region)
	if err != nil || home == "" || home == role.Partition || !strings.HasPrefix(role.Partition, "aws") {
		return ""
	}
	return home
}

// partitionOf returns the partition of a region, based on the prefix of its name, or "" if region is
// empty.
// https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
func partitionOf(region string) string {
	for _, p := range partitions {
		if region != "" && strings.HasPrefix(region, p.prefix) {
			return p.name
		}
	}
	return ""
}

// partitions lists the AWS partitions, with their region prefix and one of their regions.
var partitions = []struct{ prefix, name, region string }{
	{"cn-", "aws-cn", "cn-north-1"}, {"us-gov-", "aws-us-gov", "us-gov-west-1"}, {"us-iso-", "aws-iso", "us-iso-east-1"},
	{"us-isob-", "aws-iso-b", "us-isob-east-1"}, {"eu-isoe-", "aws-iso-e", "eu-isoe-west-1"}, {"us-isof-", "aws-iso-f", "us-isof-south-1"},
	{"eusc-", "aws-eusc", "eusc-de-east-1"}, {"", "aws", "us-west-2"},
}

// endpointService returns the name of the service behind an STS VPC endpoint, in parentheses, or ""
// if unknown.
// https://docs.aws.amazon.com/vpc/latest/privatelink/aws-services-privatelink-support.html
func (f Facts) endpointService() string {
	switch partitionOf(f.Region) {
	case "aws", "aws-us-gov":
		return " (com.amazonaws." + f.Region + ".sts)"
	case "aws-cn":
		return " (cn.com.amazonaws." + f.Region + ".sts)"
	default:
		return ""
	}
}

// IsAWS reports whether the role belongs to AWS rather than an STS-compatible server.
func (f Facts) IsAWS() bool { return strings.HasPrefix(f.RoleARN, "arn:aws") }

// isOtherServerCode reports whether code is an error code that STS never returns for
// AssumeRoleWithWebIdentity, so that the response must be from another service.
func isOtherServerCode(code string) bool {
	return awserror.Is(code, "InvalidAction", "MethodNotAllowed", "NoSuchVersion", "NoSuchBucket", "NotImplemented", "UnsupportedOperation",
		"UnknownOperation", "UnrecognizedClient", "MissingAuthenticationToken")
}

// OtherRegion is the advice for an endpoint in a different region.
const OtherRegion = "unset AWS_ENDPOINT_URL_STS, or set AWS_REGION to the endpoint's region"
