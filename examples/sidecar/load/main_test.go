package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheSidecarHoldsALoadAsAProcess(t *testing.T) {
	require.NoError(t, measure(t.Context(), 300, time.Second))
}
