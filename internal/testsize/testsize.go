// Package testsize chooses between the short and the long form of a test. Both make the same
// assertions; the long form makes them more often.
package testsize

import "os"

// Choose returns long if the environment has IRSAKIT_LONG_TESTS=1, which .ci/run sets, and
// short otherwise.
func Choose[T any](short, long T) T {
	if os.Getenv("IRSAKIT_LONG_TESTS") == "1" {
		return long
	}
	return short
}
