package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain runs the tests, or is the STS.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		if err := serve(os.Stdin, os.Stdout); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

func TestEveryContenderIsMeasured(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, measureAll(t.Context(), plan{roles: 50, life: 3 * time.Second, run: 2 * time.Second, latency: 5 * time.Millisecond}, &out))
	for _, c := range contenders() {
		assert.Contains(t, out.String(), "\n"+c.name+" ")
	}
	assert.Equal(t, 6, strings.Count(out.String(), "\n"), out.String())
}
