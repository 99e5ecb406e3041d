package main

import (
	"context"
	"encoding/binary"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A metronome ticks once a period. It wakes a caller as a request from outside would: by
// the network poller. Go's own timers do not interrupt the garbage collector where it uses
// the processors that nobody else does: they are late by up to 10 ms then, and so would be
// a caller whom they wake, whatever he is about to call.
//
// It is a file of the kernel's timers: see timerfd_create(2).
type metronome struct {
	file  *os.File
	next  time.Time // the tick to come
	every time.Duration
	ahead uint64 // ticks that were read and not yet waited for
}

// newMetronome returns one whose first tick is so long from now, at least a nanosecond.
// Close it.
func newMetronome(first, every time.Duration) (*metronome, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	m := &metronome{file: os.NewFile(uintptr(fd), "timerfd"), every: every, next: time.Now().Add(first)}
	times := unix.ItimerSpec{Value: unix.NsecToTimespec(first.Nanoseconds()), Interval: unix.NsecToTimespec(every.Nanoseconds())}
	if err := unix.TimerfdSettime(fd, 0, &times, nil); err != nil {
		m.Close()
		return nil, os.NewSyscallError("timerfd_settime", err)
	}
	return m, nil
}

// wait waits for the next tick and returns when it was due. It misses none.
func (m *metronome) wait(ctx context.Context) (due time.Time, err error) {
	stop := context.AfterFunc(ctx, m.Close)
	defer stop()
	for m.ahead == 0 {
		var ticks [8]byte
		if _, err := m.file.Read(ticks[:]); err != nil {
			return time.Time{}, err
		}
		m.ahead = binary.NativeEndian.Uint64(ticks[:])
	}
	m.ahead--
	due = m.next
	m.next = m.next.Add(m.every)
	return due, nil
}

// Close ends it, and a wait with an error. It may be called again.
func (m *metronome) Close() { _ = m.file.Close() }
