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
	firstKeys  = "until credentials"
	binarySize = "binary"
	atOnce     = "STS answers at once"
	after50    = "STS answers after 50 ms"
	program    = "the program"
)

// programs contains the smallest programs that get credentials.
var programs = []struct{ contender, folder string }{{ours, "irsakit"}, {sdk, "sdk"}}

// start measures the time from the start of a program to its first credentials.
func start(times int) measure {
	return measure{
		name: "start", title: "The start of a program",
		about: fmt.Sprintf("The smallest program with each, built with -trimpath and without symbols, is started %d times in turn, and "+
			"timed until it says that it has credentials.", times),
		run: func(ctx context.Context, l *lab, s *sheet) error {
			folder, err := os.MkdirTemp("", "bench")
			if err != nil {
				return err
			}
			l.progress("building")
			err = buildPrograms(ctx, s, folder)
			for _, scene := range []struct {
				name    string
				latency time.Duration
			}{{atOnce, 0}, {after50, 50 * time.Millisecond}} {
				if err == nil {
					l.progress("%s", scene.name)
					err = startPrograms(ctx, l, s, scene.name, scene.latency, folder, times)
				}
			}
			return errors.Join(err, os.RemoveAll(folder))
		},
	}
}

func buildPrograms(ctx context.Context, s *sheet, folder string) error {
	for _, p := range programs {
		path := filepath.Join(folder, p.folder)
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./start/"+p.folder) // #nosec G204 -- a package of this module
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
		s.add(program, p.contender, binarySize, memory, float64(file.Size()))
		s.addCount(program, p.contender, "modules", len(info.Deps))
	}
	return nil
}

func startPrograms(ctx context.Context, l *lab, s *sheet, scene string, latency time.Duration, folder string, times int) (err error) {
	place, release, err := l.sts.place(Setup{Life: time.Hour, Latency: latency})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	starts := &sheet{}
	for range times {
		for _, p := range programs {
			if err := startOne(ctx, starts, scene, p.contender, filepath.Join(folder, p.folder), place); err != nil {
				return fmt.Errorf("%s: %w", p.contender, err)
			}
		}
	}
	for _, f := range starts.Figures {
		s.add(f.Scene, f.Contender, f.Name, f.Unit, f.median())
	}
	return nil
}

// startOne starts a program and measures the time until it prints its result.
func startOne(ctx context.Context, s *sheet, scene, contender, path string, place Place) error {
	command := exec.CommandContext(ctx, path) // #nosec G204 -- a program that buildPrograms has built
	command.Env = append(os.Environ(), "AWS_ROLE_ARN="+place.RoleARN, "AWS_WEB_IDENTITY_TOKEN_FILE="+place.TokenFile,
		"AWS_REGION="+region, "AWS_ENDPOINT_URL_STS="+place.Endpoint)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	output, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := command.Start(); err != nil {
		return err
	}
	var memoryUsed ready.Memory
	said := json.NewDecoder(output).Decode(&memoryUsed)
	took := time.Since(begin)
	if err := errors.Join(said, command.Wait()); err != nil {
		return fmt.Errorf("%w: %s", err, &complaint)
	}
	s.addTime(scene, contender, firstKeys, took)
	s.addCount(scene, contender, allocations, int(memoryUsed.Mallocs)) // #nosec G115 -- a few thousand
	s.add(scene, contender, "allocated", memory, float64(memoryUsed.Bytes))
	s.add(scene, contender, "resident", memory, float64(memoryUsed.Resident))
	return nil
}
