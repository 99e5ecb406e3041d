package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// report contains the results of a run.
type report struct {
	Machine machine  `json:"machine"`
	Sheets  []*sheet `json:"sheets"`
}

// machine describes the machine and the versions of a run.
type machine struct {
	Date       string   `json:"date"`
	Runs       int      `json:"runs"`
	Commit     string   `json:"commit"`
	Go         string   `json:"go"`
	System     string   `json:"system"`
	Memory     string   `json:"memory"`
	Processor  string   `json:"processor"`
	Processors int      `json:"processors"`
	Modules    []string `json:"modules"`
}

func newReport(runs int) *report {
	m := machine{
		Date: time.Now().UTC().Format(time.DateOnly), Runs: runs, Commit: commit(), Go: runtime.Version(), System: system(),
		Memory: firstOf("/proc/meminfo", "MemTotal"), Processor: firstOf("/proc/cpuinfo", "model name"), Processors: runtime.NumCPU(),
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			switch d.Path {
			case "github.com/aws/aws-sdk-go-v2", "github.com/aws/aws-sdk-go-v2/config", "github.com/aws/aws-sdk-go-v2/credentials",
				"github.com/aws/aws-sdk-go-v2/service/sts", "github.com/minio/minio-go/v7":
				m.Modules = append(m.Modules, d.Path+" "+d.Version)
			}
		}
	}
	return &report{Machine: m}
}

// again returns the report in the folder with the measures of r in place of its own. These
// measures are marked as measured again.
func again(docs string, r *report) (*report, error) {
	all, err := readReport(docs)
	if err != nil {
		return nil, err
	}
	if all.Machine.Runs != r.Machine.Runs || all.Machine.Processor != r.Machine.Processor {
		return nil, errors.New("the figures of the folder are of another number of runs, or another processor: measure all of them")
	}
	for _, s := range r.Sheets {
		s.Again = fmt.Sprintf("%s, commit %s, %s", r.Machine.Date, r.Machine.Commit, r.Machine.Go)
		*all.sheet(s.Name) = *s
	}
	return all, nil
}

// commit returns the commit of the work tree, with a mark if there are uncommitted changes.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func system() string {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS + "/" + runtime.GOARCH
	}
	return runtime.GOOS + "/" + runtime.GOARCH + " " + strings.TrimSpace(string(kernel))
}

// firstOf returns the first value with the name in a file of /proc.
func firstOf(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for text := range strings.Lines(string(text)) {
		if found, value, _ := strings.Cut(text, ":"); strings.TrimSpace(found) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// String returns one line.
func (m machine) String() string {
	return fmt.Sprintf("%s, commit %s, %d processors of %s, %s of memory, %s, %s", m.Date, m.Commit, m.Processors, m.Processor, m.Memory, m.System, m.Go)
}

// sheet returns the sheet of a measure, or nil if the measure was not run.
func (r *report) sheet(name string) *sheet {
	for _, s := range r.Sheets {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// figuresFile is the file with the figures of a report, in the folder of the charts.
const figuresFile = "performance/figures.json"

func readReport(docs string) (*report, error) {
	text, err := os.ReadFile(filepath.Join(docs, figuresFile))
	if err != nil {
		return nil, err
	}
	var r report
	return &r, json.Unmarshal(text, &r)
}

func (r *report) write(docs string) error {
	for _, s := range r.Sheets {
		s.Lines = slices.DeleteFunc(s.Lines, func(l line) bool { return !isDrawn(l) })
	}
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	path := filepath.Join(docs, figuresFile)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { // #nosec G301 -- a folder of the repository
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644) // #nosec G306 -- a file of the repository
}
