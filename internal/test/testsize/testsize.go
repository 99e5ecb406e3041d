// Package testsize chooses the number of iterations of a test.
package testsize

import (
	"os"
	"testing"
)

// Choose returns short with "go test -short", long if the environment variable
// IRSAKIT_LONG_TESTS is 1, and usual otherwise. .ci/run sets the variable.
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
