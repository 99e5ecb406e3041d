package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"text/template"
	"time"
)

// report contains the results of a run.
type report struct {
	Date    string   `json:"date"`
	Took    string   `json:"took"`
	Commit  string   `json:"commit"`
	Machine []string `json:"machine"` // the machine, and the versions of the modules
	Plan    plan     `json:"plan"`
	Sheets  []*sheet `json:"sheets"`
}

func newReport(p plan) *report {
	r := &report{Date: time.Now().UTC().Format(time.DateOnly), Commit: commit(), Plan: p, Machine: []string{
		fmt.Sprintf("%d processors of %s, %s of memory", runtime.NumCPU(), field("/proc/cpuinfo", "model name"), field("/proc/meminfo", "MemTotal")),
		runtime.GOOS + "/" + runtime.GOARCH + " " + field("/proc/sys/kernel/osrelease", ""),
		runtime.Version(),
	}}
	info, _ := debug.ReadBuildInfo() // always exists in a program built with modules
	for _, d := range info.Deps {
		if strings.HasPrefix(d.Path, "github.com/aws/aws-sdk-go-v2") && !strings.Contains(d.Path, "/internal/") || strings.HasPrefix(d.Path, "github.com/minio/minio-go") {
			r.Machine = append(r.Machine, d.Path+" "+d.Version)
		}
	}
	return r
}

// versions returns the versions of the contenders.
func (r *report) versions(contenders []string) string {
	text := "irsakit " + r.Commit
	for _, line := range r.Machine {
		path, version, _ := strings.Cut(line, " ")
		switch {
		case path == "github.com/aws/aws-sdk-go-v2":
			text += ", aws-sdk-go-v2 " + version
		case path == "github.com/minio/minio-go/v7" && slices.Contains(contenders, minioGo):
			text += ", minio-go " + version
		case strings.HasPrefix(line, "go1"):
			text += ", " + line
		}
	}
	return text
}

// commit returns the commit of the work tree, with a mark if there are uncommitted changes.
func commit() string {
	out, _ := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12").Output() // "" without git
	return strings.TrimSpace(string(out))
}

// field returns the first value with the name in a file of /proc, or "" if it is not readable.
func field(path, name string) string {
	text, _ := os.ReadFile(path)
	_, rest, _ := strings.Cut(string(text), name)
	line, _, _ := strings.Cut(rest, "\n")
	return strings.Trim(line, ": \t")
}

// Sheet returns the sheet of a measure, or nil if the measure was not run.
func (r *report) Sheet(name string) *sheet {
	if i := slices.IndexFunc(r.Sheets, func(s *sheet) bool { return s.Name == name }); i >= 0 {
		return r.Sheets[i]
	}
	return nil
}

// figuresFile is the file with the figures of a report, in the directory of the charts.
const figuresFile = "performance/figures.json"

func readReport(docs string) (*report, error) {
	text, err := os.ReadFile(filepath.Join(docs, figuresFile))
	if err != nil {
		return nil, err
	}
	var r report
	return &r, json.Unmarshal(text, &r)
}

// deep matches the line breaks within a figure and a series.
var deep = regexp.MustCompile(`\n\t{5,}|\n\t{4}(\})`)

// encode returns the report in JSON, with one line for each figure and series.
func (r *report) encode() (string, error) {
	text, err := json.MarshalIndent(r, "", "\t")
	return deep.ReplaceAllString(string(text), "$1") + "\n", err
}

//go:embed page.md chart.svg
var templateFiles embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{"short": short}).ParseFS(templateFiles, "*"))

// docFiles returns the page, the charts and the figures of a report by their paths in the directory docs.
// The page is a template; all its figures come from the report.
func (r *report) docFiles() (map[string]string, error) {
	figures, err := r.encode()
	var text bytes.Buffer
	if err := errors.Join(err, templates.ExecuteTemplate(&text, "page.md", r)); err != nil {
		return nil, err
	}
	files := map[string]string{"performance.md": text.String(), figuresFile: figures}
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

// writeDocs writes the page, its charts and its figures to existing directories.
func writeDocs(docs string, r *report) error {
	files, err := r.docFiles()
	for name, text := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(docs, name), []byte(text), 0o644)) // #nosec G306 -- a file of the repository
	}
	return err
}
