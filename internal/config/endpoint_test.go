package config

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/explain"
)

func TestResolveShowsNoPasswordOfEndpoint(t *testing.T) {
	for _, endpoint := range []string{
		"https://user:hunter2@sts.corp.example", "http://user:hunter2@sts.corp.example", "user:hunter2@sts.corp.example",
		"https:user:hunter2@sts.corp.example", "https:/user:hunter2@sts.corp.example", "https://user:hunter/2%@sts.corp.example",
		"https:///user:hunter2@sts.corp.example",
	} {
		_, errs := environmentOf(map[string]string{EnvEndpointSTS: endpoint}).Resolve(t.Context(), valid())
		require.ErrorContains(t, errs.Join(), "contains a user name or a password", endpoint)
		assert.NotContains(t, errs.Join().Error(), "hunter", endpoint)
	}
	for _, endpoint := range []string{"http://user:hunter2@sts.corp.example", "http:user:hunter2@sts.corp.example"} {
		given := valid()
		given.Shared.STS = sts.New(sts.Options{BaseEndpoint: aws.String(endpoint)})
		_, errs := environmentOf(nil).Resolve(t.Context(), given)
		require.ErrorIs(t, errs.Join(), explain.ErrCleartext, endpoint)
		assert.NotContains(t, errs.Join().Error(), "hunter", endpoint)
	}
}
