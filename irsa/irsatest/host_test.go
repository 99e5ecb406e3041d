package irsatest_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestClusterServesSDKEndpointsOfAllPartitions(t *testing.T) {
	for region, partition := range map[string]string{
		"us-west-2": "aws", "mx-central-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov", "eusc-de-east-1": "aws-eusc",
		"us-iso-east-1": "aws-iso", "us-isob-east-1": "aws-iso-b", "eu-isoe-west-1": "aws-iso-e", "us-isof-south-1": "aws-iso-f",
	} {
		t.Run(region, func(t *testing.T) {
			w := inMemory(t, func(o *irsatest.Options) { o.Region = region })
			out, err := w.assume(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "arn:"+partition+":sts::111122223333:assumed-role/s3-writer/session", *out.AssumedRoleUser.Arn)
			assert.Equal(t, "arn:"+partition+":iam::111122223333:role/s3-writer", w.role.ARN())

			second := w.Role("second", irsatest.Trust(w.role))
			chained, err := w.signed(func(o *sts.Options) { o.Region = region }).AssumeRole(t.Context(),
				&sts.AssumeRoleInput{RoleArn: aws.String(second.ARN()), RoleSessionName: aws.String("second")})
			require.NoError(t, err)
			assert.Equal(t, "arn:"+partition+":sts::111122223333:assumed-role/second/second", *chained.AssumedRoleUser.Arn)
		})
	}
}

func TestClusterRejectsInvalidRegions(t *testing.T) {
	for _, region := range []string{"mars-north-1", "us-west-2a", "eusc-fr-west-1", "aws-global", "US-WEST-2"} {
		_, err := irsatest.Start(func(o *irsatest.Options) { o.Region = region })
		require.EqualError(t, err, `irsatest: "`+region+`" is not the name of an AWS region, such as us-west-2`)
	}
	w := onLoopback(t)
	assert.PanicsWithError(t, `irsatest: "mars-north-1" is not the name of an AWS region, such as us-west-2`, func() {
		w.Pod(w.sa, w.role, func(o *irsatest.PodOptions) { o.Region = "mars-north-1" })
	})
}
