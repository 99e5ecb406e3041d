package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAMetronomeMissesNoTickOfAWaiterWhoIsLate(t *testing.T) {
	begin := time.Now()
	m, err := newMetronome(time.Millisecond, 2*time.Millisecond)
	require.NoError(t, err)
	defer m.Close()
	var last time.Time
	for tick := range 20 {
		if tick == 5 {
			until := time.Now().Add(8 * time.Millisecond)
			for time.Now().Before(until) { // keeps the waiter busy
			}
		}
		due, err := m.wait(t.Context())
		require.NoError(t, err)
		assert.False(t, time.Now().Before(due), "he is woken at its time, or later")
		assert.GreaterOrEqual(t, due.Sub(begin), time.Duration(1+2*tick)*time.Millisecond)
		if tick > 0 {
			assert.Equal(t, 2*time.Millisecond, due.Sub(last))
		}
		last = due
	}
}

func TestAMetronomesWaitEndsWithItsContext(t *testing.T) {
	m, err := newMetronome(time.Hour, time.Hour)
	require.NoError(t, err)
	defer m.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = m.wait(ctx)
	assert.Error(t, err)
}
