package irsa_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
)

// TestErrorAdviceDependsOnContainerCredentials checks that only the agent's address counts as EKS Pod
// Identity, and that the advice takes it into account. The webhook does not inject IRSA into a pod if
// its service account has an association.
func TestErrorAdviceDependsOnContainerCredentials(t *testing.T) {
	const agent, agent6, sidecar = "http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/v1/credentials", "http://127.0.0.1:9910/credentials"
	const association, annotated = "delete the pod identity association", "check that the service account has the annotation"
	role, token := injectedRole+"=arn:aws:iam::111122223333:role/s3-writer", injectedToken+"=/token"
	for _, tt := range []struct {
		name, uri, variable string
		notInjected         bool
		want, not           string
	}{
		{"agent", agent, "", true, association, "sidecar"},
		{"agent, IPv6", agent6, "", true, association, "sidecar"},
		{"agent and a role", agent, role, false, association, annotated},
		{"agent and a token", agent, token, false, association, annotated},
		{"sidecar", sidecar, "", true, "config.LoadDefaultConfig", association},
		{"sidecar and a role", sidecar, role, false, "remove AWS_ROLE_ARN", association},
		{"none", "", "", true, "has the annotation eks.amazonaws.com/role-arn", association},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, variable := range []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + tt.uri, injectedRole + "=", injectedToken + "=", "AWS_REGION=us-west-2", tt.variable} {
				if name, value, found := strings.Cut(variable, "="); found {
					t.Setenv(name, value)
				}
			}
			_, err := irsa.New()
			require.ErrorIs(t, err, irsa.ErrNotConfigured)
			assert.Equal(t, tt.notInjected, errors.Is(err, irsa.ErrNotInjected))
			advice := adviceOn(t, err)
			assert.Contains(t, advice, tt.want)
			assert.NotContains(t, advice, tt.not)
		})
	}
}

func TestDiagnoseNamesOtherContainerCredentials(t *testing.T) {
	_, pod := newPod(t)
	for uri, want := range map[string]string{
		"http://169.254.170.23/v1/credentials": "remove AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE from the pod's own env",
		"http://127.0.0.1:9910/credentials":    "remove AWS_CONTAINER_CREDENTIALS_FULL_URI, or exclude the container from IRSA",
	} {
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri)
		for _, c := range irsa.Diagnose(t.Context(), pod.Options).Checks {
			if c.Name == "other-credentials" {
				assert.Equal(t, "warned", c.Status)
				assert.Contains(t, c.Advice, want)
			}
		}
	}
}
