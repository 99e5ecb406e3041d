// Package testsize chooses the number of iterations of a test.
package testsize

import (
	"os"
	"testing"
)

// Choose returns long if the environment variable IRSAKIT_LONG_TESTS is 1, which .ci/run sets. It
// returns short with "go test -short", and with the race detector, which makes tests about ten times
// slower. Otherwise it returns usual.
func Choose(short, usual, long int) int {
	switch {
	case testing.Short():
		return short
	case os.Getenv("IRSAKIT_LONG_TESTS") == "1":
		return long
	case raceDetector:
		return short
	default:
		return usual
	}
}
