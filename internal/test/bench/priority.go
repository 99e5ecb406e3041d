package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"
)

// realTime prevents other processes and the garbage collector from delaying the callers in
// this process. Its threads get a real-time priority, because Linux may otherwise run other
// threads for 4 ms before a thread that has become ready. The garbage collector is off,
// because the garbage of one contender must not delay another. Only root can set the
// priority: for other users, realTime prints a warning that the machine affects the far
// percentiles. The function back restores both.
func realTime() (back func()) {
	percent := debug.SetGCPercent(-1)
	if err := schedule(unix.SchedAttr{Policy: unix.SCHED_FIFO, Priority: 1}); err != nil {
		fmt.Fprintf(os.Stderr, "without real-time priority, so that the far percentiles are the machine's: %v\n", err)
	}
	return func() {
		_ = schedule(unix.SchedAttr{Policy: unix.SCHED_NORMAL}) // allowed for all processes
		debug.SetGCPercent(percent)
	}
}

// afterOthers makes this process run only while no other process is ready. A process that
// becomes ready preempts it at once.
func afterOthers() error {
	return schedule(unix.SchedAttr{Policy: unix.SCHED_IDLE})
}

// schedule sets the scheduling attributes of all threads. New threads inherit them.
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
