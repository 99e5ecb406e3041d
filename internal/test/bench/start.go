package main

import (
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
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
var programs = []struct{ contender, directory string }{{ours, "irsakit"}, {bare, "bare"}, {sdk, "sdk"}}

// startPlan configures the measure of the time from the start of a program to its first credentials.
type startPlan struct {
	Times   int // of each program
	Latency time.Duration
}

func (p startPlan) run(t *testing.T, s *sheet) {
	directory := t.TempDir()
	for _, p := range programs {
		buildProgram(t, s, p.contender, filepath.Join(directory, p.directory))
	}
	for _, scene := range []struct {
		name    string
		latency time.Duration
	}{{atOnce, 0}, {after50, p.Latency}} {
		at := startSTS(t, setup{Lifetime: time.Hour, Latency: scene.latency})
		var starts sheet
		for i := range p.Times * len(programs) {
			p := programs[i%len(programs)]
			startOne(t, &starts, scene.name, p.contender, filepath.Join(directory, p.directory), at)
		}
		s.addMedians(&starts)
	}
}

func buildProgram(t *testing.T, s *sheet, contender, path string) {
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./start/"+filepath.Base(path)) // #nosec G204 -- a package of this module
	build.Stderr = os.Stderr
	must(t, build.Run())
	file, err1 := os.Stat(path)
	info, err2 := buildinfo.ReadFile(path)
	must(t, errors.Join(err1, err2))
	s.add(program, contender, binarySize, memory, float64(file.Size()))
	s.addCount(program, contender, "modules", len(info.Deps))
}

// startOne starts a program and measures the time until it prints its result.
func startOne(t *testing.T, s *sheet, scene, contender, path string, at place) {
	command := exec.Command(path) // #nosec G204 -- a program that buildProgram has built
	command.Env, command.Stderr = append(os.Environ(), at.environ()...), os.Stderr
	output, err := command.StdoutPipe()
	must(t, err)
	begin := time.Now()
	must(t, command.Start())
	var used ready.Memory
	err = json.NewDecoder(output).Decode(&used)
	took := time.Since(begin)
	must(t, errors.Join(err, command.Wait()))
	s.addTime(scene, contender, goodKeys, took)
	s.addCount(scene, contender, allocations, int(used.Mallocs)) // #nosec G115 -- a few thousand
	s.add(scene, contender, allocated, memory, float64(used.Bytes))
	s.add(scene, contender, resident, memory, float64(used.Resident))
}
