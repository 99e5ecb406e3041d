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
	bare       = "SDK, bare"
	allocated  = "allocated"
	resident   = "resident"
)

// programs contains the smallest programs that get credentials. The bare one uses the SDK's provider
// without its config package.
var programs = []struct{ contender, folder string }{{ours, "irsakit"}, {bare, "bare"}, {sdk, "sdk"}}

// startPlan configures the measure of the time from the start of a program to its first
// credentials.
type startPlan struct {
	Times   int // of each program
	Latency time.Duration
}

func (p startPlan) run(ctx context.Context, l *lab, s *sheet) error {
	folder, err := l.folder()
	if err != nil {
		return err
	}
	for _, p := range programs {
		if err := buildProgram(ctx, s, p.contender, filepath.Join(folder, p.folder)); err != nil {
			return err
		}
	}
	for _, scene := range []struct {
		name    string
		latency time.Duration
	}{{atOnce, 0}, {after50, p.Latency}} {
		at, err := l.place(ctx, setup{Lifetime: time.Hour, Latency: scene.latency})
		if err != nil {
			return err
		}
		var starts sheet
		for i := range p.Times * len(programs) {
			p := programs[i%len(programs)]
			if err := startOne(ctx, &starts, scene.name, p.contender, filepath.Join(folder, p.folder), at); err != nil {
				return fmt.Errorf("%s: %w", p.contender, err)
			}
		}
		s.addMedians(&starts)
	}
	return nil
}

func buildProgram(ctx context.Context, s *sheet, contender, path string) error {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./start/"+filepath.Base(path)) // #nosec G204 -- a package of this module
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	file, err1 := os.Stat(path)
	info, err2 := buildinfo.ReadFile(path)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	s.add(program, contender, binarySize, memory, float64(file.Size()))
	s.addCount(program, contender, "modules", len(info.Deps))
	return nil
}

// startOne starts a program and measures the time until it prints its result.
func startOne(ctx context.Context, s *sheet, scene, contender, path string, at place) error {
	command := exec.CommandContext(ctx, path) // #nosec G204 -- a program that buildProgram has built
	command.Env = append(os.Environ(), at.environ()...)
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
	s.add(scene, contender, allocated, memory, float64(used.Bytes))
	s.add(scene, contender, resident, memory, float64(used.Resident))
	return nil
}
