package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// report contains the results of a run.
type report struct {
	Machine machine  `json:"machine"`
	Plan    plan     `json:"plan"`
	Sheets  []*sheet `json:"sheets"`
}

// machine describes the machine and the modules of a run.
type machine struct {
	Runs       int      `json:"runs"`
	System     string   `json:"system"`
	Memory     string   `json:"memory"`
	Processor  string   `json:"processor"`
	Processors int      `json:"processors"`
	Modules    []string `json:"modules"`
}

const (
	sdkModule   = "github.com/aws/aws-sdk-go-v2"
	minioModule = "github.com/minio/minio-go/v7"
)

func newReport(p plan, runs int) *report {
	m := machine{
		Runs: runs, System: system(), Memory: firstOf("/proc/meminfo", "MemTotal"), Processor: firstOf("/proc/cpuinfo", "model name"), Processors: runtime.NumCPU(),
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			switch d.Path {
			case sdkModule, sdkModule + "/config", sdkModule + "/credentials", sdkModule + "/service/sts", minioModule:
				m.Modules = append(m.Modules, d.Path+" "+d.Version)
			}
		}
	}
	return &report{Machine: m, Plan: p}
}

// replace returns the report in the folder with the sheets of r in place of its own.
func replace(docs string, r *report) (*report, error) {
	all, err := readReport(docs)
	if err != nil {
		return nil, err
	}
	m, n := all.Machine, r.Machine
	if all.Plan != r.Plan || m.Runs != n.Runs || m.Processor != n.Processor || !slices.Equal(m.Modules, n.Modules) {
		return nil, errors.New("the figures in the folder have another plan, number of runs, processor or module version: measure all")
	}
	for _, s := range r.Sheets {
		*all.Sheet(s.Name) = *s
	}
	return all, nil
}

// versions returns the versions of the contenders.
func (s *sheet) versions(r *report, contenders []string) string {
	text := "irsakit " + s.Commit
	for _, module := range r.Machine.Modules {
		path, version, _ := strings.Cut(module, " ")
		switch {
		case path == sdkModule:
			text += ", aws-sdk-go-v2 " + version
		case path == minioModule && slices.Contains(contenders, minioGo):
			text += ", minio-go " + version
		}
	}
	return text + ", " + s.Go
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

// Sheet returns the sheet of a measure, or nil if the measure was not run.
func (r *report) Sheet(name string) *sheet {
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

// innermost matches the JSON objects that contain no others. No string of a report contains a
// brace.
var innermost = regexp.MustCompile(`\{[^{}]*\}`)

// encode returns the report in JSON, with one line for each figure and series.
func (r *report) encode() (string, error) {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return "", err
	}
	return innermost.ReplaceAllStringFunc(string(text), func(object string) string {
		var line bytes.Buffer
		_ = json.Compact(&line, []byte(object)) // an object is valid
		return line.String()
	}) + "\n", nil
}
