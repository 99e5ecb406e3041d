package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"math"
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

// A sheet contains the figures of a measure.
type sheet struct {
	Name    string   `json:"name"`
	Date    string   `json:"date"`
	Commit  string   `json:"commit"`
	Go      string   `json:"go"`
	Figures []figure `json:"figures"`
	Series  []series `json:"series,omitempty"`
}

// A figure contains the results of one contender in one scene, one for each run.
type figure struct {
	Scene     string    `json:"scene,omitempty"`
	Contender string    `json:"contender"`
	Name      string    `json:"name"`
	Unit      unit      `json:"unit,omitempty"`
	Runs      []float64 `json:"runs"`
}

// A series is the data of one contender in a chart, from the first run.
type series struct {
	Chart     string    `json:"chart"`
	Contender string    `json:"contender"`
	From      float64   `json:"from"` // the first x
	Step      float64   `json:"step"` // the distance to the next x
	Y         []float64 `json:"y"`
}

// unit is the unit of a figure.
type unit string

const (
	times   unit = ""   // a count
	elapsed unit = "ns" // a time
	memory  unit = "B"
)

// add records the result of a run.
func (s *sheet) add(scene, contender, name string, u unit, value float64) {
	if f := s.find(scene, contender, name); f != nil {
		f.Runs = append(f.Runs, value)
	} else {
		s.Figures = append(s.Figures, figure{scene, contender, name, u, []float64{value}})
	}
}

// addMedians records the medians of another sheet's figures as the results of one run.
func (s *sheet) addMedians(other *sheet) {
	for _, f := range other.Figures {
		s.add(f.Scene, f.Contender, f.Name, f.Unit, f.median())
	}
}

func (s *sheet) addTime(scene, contender, name string, d time.Duration) {
	s.add(scene, contender, name, elapsed, float64(d))
}

func (s *sheet) addCount(scene, contender, name string, n int) {
	s.add(scene, contender, name, times, float64(n))
}

// draw records a series, if there is a chart for it. Only the first run counts.
func (s *sheet) draw(line series) {
	drawn := slices.ContainsFunc(charts, func(c chart) bool { return c.series == line.Chart && slices.Contains(c.contenders, line.Contender) })
	if drawn && !slices.ContainsFunc(s.Series, func(l series) bool { return l.Chart == line.Chart && l.Contender == line.Contender }) {
		s.Series = append(s.Series, line)
	}
}

func (s *sheet) find(scene, contender, name string) *figure {
	for i := range s.Figures {
		if f := &s.Figures[i]; f.Scene == scene && f.Contender == contender && f.Name == name {
			return f
		}
	}
	return nil
}

func (f *figure) median() float64 {
	sorted := slices.Sorted(slices.Values(f.Runs))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// String returns the median, with the range of the runs if they differ.
func (f *figure) String() string {
	text, least, most := f.Unit.format(f.median()), f.Unit.format(slices.Min(f.Runs)), f.Unit.format(slices.Max(f.Runs))
	if least != most {
		text += fmt.Sprintf(" (%s–%s)", least, most)
	}
	return text
}

// format formats a value: a time or an amount of memory with about three significant digits,
// and a count as a whole number.
func (u unit) format(v float64) string {
	switch u {
	case elapsed:
		return scaled(v, []string{"ns", "µs", "ms", "s"}, 1000)
	case memory:
		return scaled(v, []string{"B", "KiB", "MiB", "GiB"}, 1024)
	default:
		return grouped(int64(math.Round(v)))
	}
}

func scaled(v float64, units []string, factor float64) string {
	for ; v >= factor && len(units) > 1; units = units[1:] {
		v /= factor
	}
	return significant(v) + " " + units[0]
}

// significant formats a number with three significant digits, or fewer if it is whole.
func significant(v float64) string {
	if v == math.Trunc(v) {
		return grouped(int64(v))
	}
	return strings.TrimSuffix(fmt.Sprintf("%#.3g", v), ".")
}

// grouped formats 12345 as 12,345.
func grouped(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Table returns a Markdown table with a row for each contender in each scene, and a column for
// each name.
func (s *sheet) Table() string {
	header, rows := []string{"", ""}, [][]string{}
	for _, f := range s.Figures {
		column := slices.Index(header, f.Name)
		if column < 0 {
			column = len(header)
			header = append(header, f.Name)
		}
		row := slices.IndexFunc(rows, func(r []string) bool { return r[0] == f.Scene && r[1] == f.Contender })
		if row < 0 {
			row = len(rows)
			rows = append(rows, []string{f.Scene, f.Contender})
		}
		rows[row] = append(rows[row], make([]string, max(0, column+1-len(rows[row])))...)
		rows[row][column] = f.String()
	}
	return writeTable(header, rows)
}

// writeTable returns a Markdown table.
func writeTable(header []string, rows [][]string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat("---|", len(header)))
	for _, row := range rows {
		row = append(row, make([]string, len(header)-len(row))...)
		fmt.Fprintf(&text, "| %s |\n", strings.Join(row, " | "))
	}
	return text.String()
}
