package explain

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestTimeoutNamesEndpointService checks the name of the VPC endpoint service, which varies by
// partition.
func TestTimeoutNamesEndpointService(t *testing.T) {
	for region, want := range map[string]string{
		"us-west-2":        "a VPC endpoint for STS (com.amazonaws.us-west-2.sts), ",
		"us-gov-west-1":    "a VPC endpoint for STS (com.amazonaws.us-gov-west-1.sts), ",
		"cn-north-1":       "a VPC endpoint for STS (cn.com.amazonaws.cn-north-1.sts), ",
		"us-iso-east-1":    "a VPC endpoint for STS, ",
		"eusc-de-east-1":   "a VPC endpoint for STS, ",
		"":                 "a VPC endpoint for STS, ",
		"ap-southeast-100": "a VPC endpoint for STS (com.amazonaws.ap-southeast-100.sts), ",
	} {
		assert.Contains(t, Timeout(region, "").Text, want, region)
	}
}
