package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"text/template"
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
		Runs: runs, System: runtime.GOOS + "/" + runtime.GOARCH + " " + read("/proc/sys/kernel/osrelease"),
		Memory: firstOf("/proc/meminfo", "MemTotal"), Processor: firstOf("/proc/cpuinfo", "model name"), Processors: runtime.NumCPU(),
	}
	info, _ := debug.ReadBuildInfo() // always exists in a program built with modules
	for _, d := range info.Deps {
		switch d.Path {
		case sdkModule, sdkModule + "/config", sdkModule + "/credentials", sdkModule + "/service/sts", minioModule:
			m.Modules = append(m.Modules, d.Path+" "+d.Version)
		}
	}
	return &report{Machine: m, Plan: p}
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
	out, _ := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12").Output() // "" without git
	return strings.TrimSpace(string(out))
}

// read returns the content of a file, or "" if it is not readable.
func read(path string) string {
	text, _ := os.ReadFile(path)
	return strings.TrimSpace(string(text))
}

// firstOf returns the first value with the name in a file of /proc.
func firstOf(path, name string) string {
	_, rest, _ := strings.Cut(read(path), name)
	line, _, _ := strings.Cut(rest, "\n")
	return strings.Trim(line, ": \t")
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

//go:embed page.md chart.svg
var templateFiles embed.FS

var templates = template.Must(template.ParseFS(templateFiles, "*"))

// docFiles returns the page and the charts of a report by their paths in the folder docs. The page
// is a template; all its figures come from the report.
func (r *report) docFiles() (map[string]string, error) {
	var text bytes.Buffer
	if err := templates.ExecuteTemplate(&text, "page.md", r); err != nil {
		return nil, err
	}
	files := map[string]string{"performance.md": text.String()}
	for _, c := range charts {
		for _, t := range themes {
			var svg bytes.Buffer
			if err := templates.ExecuteTemplate(&svg, "chart.svg", c.drawing(r, t)); err != nil {
				return nil, err
			}
			files["performance/"+c.File+"-"+t.name+".svg"] = svg.String()
		}
	}
	return files, nil
}

// writeDocs writes the page, its charts and its figures to existing folders.
func writeDocs(docs string, r *report) error {
	files, err := r.docFiles()
	if err != nil {
		return err
	}
	if files[figuresFile], err = r.encode(); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(docs, name), []byte(text), 0o644); err != nil { // #nosec G306 -- a file of the repository
			return err
		}
	}
	return nil
}
