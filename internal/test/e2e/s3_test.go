package e2e

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The program runs in a separate process, with the environment that the webhook has injected
// and the API server has stored.
func TestApplicationUsesS3WithRealToken(t *testing.T) {
	p := newPod(t, withLifetime("3600"))
	ended := p.run(t, nil, p.Spec.Containers[0], cluster.programs.application, p.Namespace)
	require.Equal(t, 0, ended.code)

	var said struct {
		Done        []string
		AccessKeyID string
		Expires     time.Time
		CanExpire   bool
	}
	require.NoError(t, json.Unmarshal([]byte(ended.out), &said))
	assert.ElementsMatch(t, []string{"AWSConfig", "LoadDefaultConfig", "WithCredentialsProvider"}, said.Done)
	assert.NotEqual(t, "root", said.AccessKeyID)
	assert.True(t, said.CanExpire)
	assert.WithinDuration(t, expiryOf(t, p.token(t)), said.Expires, time.Minute, "MinIO's credentials end with the token")

	for _, name := range said.Done {
		for suffix, size := range map[string]int64{"": int64(len("thank you for " + p.Namespace + "/" + name)), ".parts": 6 << 20} {
			head, err := cluster.minio.asRoot().HeadObject(t.Context(), &s3.HeadObjectInput{
				Bucket: aws.String(bucket), Key: aws.String(p.Namespace + "/" + name + suffix),
			})
			require.NoError(t, err, name+suffix)
			assert.Equal(t, size, *head.ContentLength, name+suffix)
		}
	}
}
