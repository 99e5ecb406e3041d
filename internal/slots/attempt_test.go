package slots_test

import (
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/slots"
)

// goroutine returns the ID of the goroutine that calls it.
func goroutine() string {
	stack := make([]byte, 64)
	return strings.Fields(string(stack[:runtime.Stack(stack, false)]))[1]
}

func TestAttemptIsFollowedByNext(t *testing.T) {
	for name, tt := range map[string]struct {
		end        func()
		goroutines int
	}{
		"in the same goroutine":                     {func() {}, 1},
		"in a new goroutine, if the old one exited": {runtime.Goexit, 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, made, goroutines := slots.New(1), 0, map[string]bool{}
				acquire := func() (slots.Attempt, bool) {
					ticket := &slots.Ticket{}
					attempt := func(next *slots.Attempt) {
						defer func() { *next = p.Release(ticket, nil) }()
						made++
						goroutines[goroutine()] = true
						tt.end()
					}
					ticket.Start = func() slots.Attempt { return attempt }
					return attempt, p.Acquire(ticket)
				}
				first, ok := acquire()
				require.True(t, ok)
				for range 9 {
					_, ok := acquire()
					require.False(t, ok)
				}
				first.Go()
				synctest.Wait()
				assert.Equal(t, 10, made)
				assert.Len(t, goroutines, tt.goroutines)
			})
		})
	}
}
