// Package testsize chooses how often a test makes its assertions.
package testsize

import (
	"os"
	"testing"
)

// Choose returns short with "go test -short", long if the environment has
// IRSAKIT_LONG_TESTS=1, which .ci/run sets, and usual otherwise.
func Choose(short, usual, long int) int {
	switch {
	case testing.Short():
		return short
	case os.Getenv("IRSAKIT_LONG_TESTS") == "1":
		return long
	default:
		return usual
	}
}
