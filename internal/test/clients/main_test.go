package main

import (
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testenv"
)

// TestMain runs the tests, or the client that uses the AWS SDK for Go.
func TestMain(m *testing.M) {
	if os.Getenv(goVariable) != "" {
		main()
		return
	}
	testenv.Clear()
	os.Exit(m.Run())
}

func TestRunReportsResultOfEachTarget(t *testing.T) {
	sdk := goSDK()
	broken := sdk // with credentials from the sidecar only
	broken.name, broken.identity = "broken", []string{"sh", "-c", `test -n "$AWS_CONTAINER_AUTHORIZATION_TOKEN" && GO_CLIENT=1 exec "$0"`, os.Args[0]}
	broken.version = []string{"echo", "broken/1.9.0"}
	broken.since = map[string]string{sidecarFile: "2.0.0", sidecarToken: "1.8.0", kit: "1.9.0"}
	missing := client{name: "missing", version: []string{"no-such-program"}}

	var out strings.Builder
	err := run(t.Context(), t, &out, []client{sdk, sdk, broken, missing})
	require.EqualError(t, err, "broken 1.9.0 does not obtain credentials from the kit; it should since 1.9.0")
	assert.Equal(t, 1, strings.Count(out.String(), "| AWS SDK for Go v2 | "+aws.SDKVersion+" | yes | yes | yes | yes |\n"))
	assert.Contains(t, out.String(), "| broken | 1.9.0 | no | yes | no | |\n")
	assert.Contains(t, out.String(), "\nbroken 1.9.0, kit: exit status 1: ")
	assert.Contains(t, out.String(), "\nnot installed: missing of no-such-program\n")
}

func TestIsSinceComparesWithinMajorVersion(t *testing.T) {
	for _, tt := range []struct {
		version, since string
		want           bool
	}{
		{"1.45.11", "1.45.11", true}, {"1.45.12", "1.45.11", true}, {"1.9.0", "1.45.11", false},
		{"2.9.19", "1.45.11", false}, {"2.9.19", "1.45.11 2.9.19", true}, {"1.45.11", never, false}, {"1.45.11", "", false},
	} {
		assert.Equal(t, tt.want, isSince(tt.version, tt.since), tt)
	}
}
