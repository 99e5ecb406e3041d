package main

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// realTime gives the threads of this process a real-time priority, so that callers are
// late by less than the 4 ms for which Linux may let others run. It returns what takes
// the priority back, and whether it is allowed, as it is to root.
func realTime() (back func(), allowed bool) {
	ordinary := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}
	first := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
	if err := schedule(first); err != nil {
		_ = schedule(ordinary) // of those threads that have it
		return func() {}, false
	}
	return func() { _ = schedule(ordinary) }, true // which every process may take
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
