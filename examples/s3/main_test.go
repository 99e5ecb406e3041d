package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testenv"
)

// asMain is the environment variable that makes the test binary run the command itself.
const asMain = "S3_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	testenv.Clear()
	os.Exit(m.Run())
}

func TestREADMEShowsOutput(t *testing.T) {
	for _, args := range [][]string{nil, {"-demo"}} {
		var out bytes.Buffer
		require.NoError(t, run(t.Context(), args, &out))
		readme, err := os.ReadFile("README.md")
		require.NoError(t, err)
		assert.Contains(t, string(readme), "```text\n"+out.String()+"```")
	}
}

func TestParseErrorsShowUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"no command":                        {"-for", "1m"},
		`unknown command "put a"`:           {"put", "a"},
		`unknown command "delete s3://b/k"`: {"delete", "s3://b/k"},
		`unknown command "demo x"`:          {"demo", "x"},
		`"https://b/k" is not s3://`:        {"presign", "https://b/k"},
		`"s3://b/" is not s3://bucket/key`:  {"get", "s3://b/", "f"},
		`"s3:///k" is not s3://bucket/key`:  {"put", "f", "s3:///k"},
		"not defined: -x":                   {"presign", "s3://b/k", "-x"},
		"the minimum is 1s":                 {"presign", "s3://b/k", "-for", "1ms"},
		"-for is 0s":                        {"-for", "0s", "presign", "s3://b/k"},
		`invalid value "soon" for flag`:     {"presign", "s3://b/k", "-for", "soon"},
	} {
		err := run(t.Context(), args, new(bytes.Buffer))
		require.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, usage)
	}
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-h"}, &out))
	assert.Equal(t, usage, out.String())
}
