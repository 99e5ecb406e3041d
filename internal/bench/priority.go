package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"
)

// realTime lets nothing but themselves delay the callers of this process. Its threads get
// a real-time priority, since Linux may let others run for 4 ms before those that have come
// to their turn, and its garbage collector rests, since one contender's garbage is not
// another's. Only root may have that priority: others are told that they measure the
// machine too. What it returns takes both back.
func realTime() (back func()) {
	percent := debug.SetGCPercent(-1)
	if err := schedule(unix.SchedAttr{Policy: unix.SCHED_FIFO, Priority: 1}); err != nil {
		fmt.Fprintf(os.Stderr, "without real-time priority, so that the far percentiles are the machine's: %v\n", err)
	}
	return func() {
		_ = schedule(unix.SchedAttr{Policy: unix.SCHED_NORMAL}) // which every process may have
		debug.SetGCPercent(percent)
	}
}

// afterOthers lets this process run where no other wants to: one whose turn has come
// interrupts it at once.
func afterOthers() error {
	return schedule(unix.SchedAttr{Policy: unix.SCHED_IDLE})
}

// schedule sets how all threads are scheduled; new ones inherit it.
func schedule(how unix.SchedAttr) error {
	how.Size = unix.SizeofSchedAttr
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetAttr(id, &how, 0); err != nil {
			return fmt.Errorf("thread %d: %w", id, err)
		}
	}
	return nil
}
