package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"
)

// realTime is beforeOthers where contenders share the process: the garbage collector rests,
// since one's garbage is not another's.
func realTime() (back func()) {
	percent := debug.SetGCPercent(-1)
	ordinary := beforeOthers()
	return func() {
		ordinary()
		debug.SetGCPercent(percent)
	}
}

// beforeOthers gives the threads of this process a real-time priority, so that callers are
// late by less than the 4 ms for which Linux may let others run, such as the STS. Only root
// may have it: others are told that they measure the machine too. What it returns takes it
// back.
func beforeOthers() (back func()) {
	ordinary := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}
	first := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
	if err := schedule(first); err != nil {
		fmt.Fprintf(os.Stderr, "without real-time priority, so that the far percentiles are the machine's: %v\n", err)
	}
	return func() { _ = schedule(ordinary) } // which every process may have
}

// schedule sets how all threads are scheduled; new ones inherit it.
func schedule(how unix.SchedAttr) error {
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
