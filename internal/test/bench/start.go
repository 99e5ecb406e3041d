package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/irsakit/irsakit/internal/test/bench/start/ready"
)

const (
	binarySize = "binary"
	atOnce     = "STS answers at once"
	after50    = "STS answers after 50 ms"
	program    = "program"
)

// programs contains the smallest programs that get credentials.
var programs = []struct{ contender, folder string }{{ours, "irsakit"}, {sdk, "sdk"}}

// startPlan configures the measure of the time from the start of a program to its first
// credentials.
type startPlan struct {
	Times   int // of each program
	Latency time.Duration
}

func (p startPlan) run(ctx context.Context, l *lab, s *sheet) error {
	folder, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	l.releases = append(l.releases, func() error { return os.RemoveAll(folder) })
	for _, p := range programs {
		if err := buildProgram(ctx, s, p.contender, filepath.Join(folder, p.folder)); err != nil {
			return err
		}
	}
	if err := p.startAll(ctx, l, s, atOnce, 0, folder); err != nil {
		return err
	}
	return p.startAll(ctx, l, s, after50, p.Latency, folder)
}

func buildProgram(ctx context.Context, s *sheet, contender, path string) error {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./start/"+filepath.Base(path)) // #nosec G204 -- a package of this module
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	file, err := os.Stat(path)
	if err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return err
	}
	s.add(program, contender, binarySize, memory, float64(file.Size()))
	s.addCount(program, contender, "modules", len(info.Deps))
	return nil
}

func (p startPlan) startAll(ctx context.Context, l *lab, s *sheet, scene string, latency time.Duration, folder string) error {
	place, err := l.place(Setup{Lifetime: time.Hour, Latency: latency})
	if err != nil {
		return err
	}
	var starts sheet
	for range p.Times {
		for _, p := range programs {
			if err := startOne(ctx, &starts, scene, p.contender, filepath.Join(folder, p.folder), place); err != nil {
				return fmt.Errorf("%s: %w", p.contender, err)
			}
		}
	}
	s.addMedians(&starts)
	return nil
}

// startOne starts a program and measures the time until it prints its result.
func startOne(ctx context.Context, s *sheet, scene, contender, path string, place Place) error {
	command := exec.CommandContext(ctx, path) // #nosec G204 -- a program that buildProgram has built
	command.Env = append(os.Environ(), place.environ()...)
	var errs bytes.Buffer
	command.Stderr = &errs
	output, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := command.Start(); err != nil {
		return err
	}
	var used ready.Memory
	err = json.NewDecoder(output).Decode(&used)
	took := time.Since(begin)
	if err := errors.Join(err, command.Wait()); err != nil {
		return fmt.Errorf("%w: %s", err, &errs)
	}
	s.addTime(scene, contender, goodKeys, took)
	s.addCount(scene, contender, allocations, int(used.Mallocs)) // #nosec G115 -- a few thousand
	s.add(scene, contender, "allocated", memory, float64(used.Bytes))
	s.add(scene, contender, "resident", memory, float64(used.Resident))
	return nil
}
