package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestMinTTLsLongest(t *testing.T) {
	m := MinTTLs{}
	for _, d := range []time.Duration{time.Minute, 10 * time.Minute, 10 * time.Minute, 37 * time.Minute} {
		m.Add(d, 1)
	}
	assert.Equal(t, 10*time.Minute, m.Longest(time.Hour, time.Hour), "37 minutes exceed 60% of the lifetime")
	assert.Equal(t, 37*time.Minute, m.Longest(2*time.Hour, 2*time.Hour))
	assert.Equal(t, time.Minute, m.Longest(time.Hour, 10*time.Minute), "the end for 10 minutes has passed")
	assert.Zero(t, m.Longest(time.Hour, time.Minute))
	m.Add(10*time.Minute, -1)
	assert.Equal(t, 10*time.Minute, m.Longest(time.Hour, time.Hour), "another view remains")
	m.Add(10*time.Minute, -1)
	assert.Equal(t, time.Minute, m.Longest(time.Hour, time.Hour))
	assert.Len(t, m, 2)
}

func TestMinTTLsUntilEnd(t *testing.T) {
	m := MinTTLs{}
	assert.Equal(t, time.Hour, m.UntilEnd(time.Hour, time.Hour))
	m.Add(9*time.Second, 1)
	assert.Equal(t, time.Hour, m.UntilEnd(time.Hour, time.Hour), "the backoff would skip this end")
	m.Add(10*time.Minute, 1)
	assert.Equal(t, 50*time.Minute, m.UntilEnd(time.Hour, time.Hour))
	assert.Equal(t, 5*time.Minute, m.UntilEnd(time.Hour, 5*time.Minute))
}

func TestRepeatedAfter(t *testing.T) {
	for left, want := range map[time.Duration]time.Duration{
		-time.Second:            time.Second,
		0:                       time.Second,
		time.Second:             time.Second,
		3 * time.Second:         3 * time.Second,
		3900 * time.Millisecond: 3900 * time.Millisecond,
		4 * time.Second:         2 * time.Second,
		time.Hour:               30 * time.Minute,
	} {
		assert.Equal(t, want, RepeatedAfter(left), left)
	}
}
