package main

import (
	"context"
	"encoding/binary"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A metronome ticks once per period. Like a network request, it wakes a caller through the
// network poller. Go's timers do not interrupt the garbage collector while it uses idle
// processors. They can then be up to 10 ms late, and so would be a caller that they wake,
// regardless of the contender.
//
// A metronome uses a timer file descriptor: see timerfd_create(2).
type metronome struct {
	file  *os.File
	next  time.Time // the next tick
	every time.Duration
	ahead uint64 // ticks that were read but not yet returned by wait
}

// newMetronome returns a metronome with the first tick after the given time, which must be at
// least a nanosecond. The caller must close it.
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

// wait waits for the next tick and returns the time at which it was due. It skips no ticks.
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

// Close stops the metronome. A running wait returns an error. Close may be called repeatedly.
func (m *metronome) Close() { _ = m.file.Close() }
