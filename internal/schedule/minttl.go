package schedule

import "time"

// MinTTLs counts the views of a Cache by their minimum TTL, in whole seconds. This limits the number
// of entries even if callers compute each minimum. The zero value is empty.
type MinTTLs map[time.Duration]int

// Add adds n views with the minimum TTL d, or removes -n of them if n is negative.
func (m *MinTTLs) Add(d time.Duration, n int) {
	if *m == nil {
		*m = MinTTLs{}
	}
	if (*m)[d] += n; (*m)[d] == 0 {
		delete(*m, d)
	}
}

// Longest returns the largest minimum TTL below left that credentials with the given lifetime can
// satisfy. Views that require more get an error. They must not cause early refreshes, because these
// would make callers of other views wait.
func (m MinTTLs) Longest(lifetime, left time.Duration) (d time.Duration) {
	for minTTL := range m {
		if minTTL < left && minTTL <= MaxMinTTL(lifetime) {
			d = max(d, minTTL)
		}
	}
	return d
}

// UntilEnd returns the time until the credentials can no longer be served to some callers. These are
// the views with the largest minimum TTL below left or, when left has passed, all callers. Minimum
// TTLs below 10 s are ignored, because the backoff after an attempt for such a view would skip the
// end for all callers.
func (m MinTTLs) UntilEnd(lifetime, left time.Duration) time.Duration {
	if d := m.Longest(lifetime, left); d >= 10*time.Second {
		return left - d
	}
	return left
}
