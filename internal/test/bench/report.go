package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
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

//go:embed page.md chart.svg
var templateFiles embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{"short": short}).ParseFS(templateFiles, "*"))

// docFiles returns the page, the charts and the figures of a report by their paths in the directory docs.
// The page is a template; all its figures come from the report.
func (r *report) docFiles() (map[string]string, error) {
	figures, err := json.MarshalIndent(r, "", "\t")
	var text bytes.Buffer
	if err := errors.Join(err, templates.ExecuteTemplate(&text, "page.md", r)); err != nil {
		return nil, err
	}
	files := map[string]string{"performance.md": text.String(), figuresFile: deep.ReplaceAllString(string(figures), "$1") + "\n"}
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

// A chart shows series of a measure, each in a panel of its own. All panels have the same axes.
type chart struct {
	measure         string
	File            string
	Title           string
	series          string // the name of the series
	contenders      []string
	x, y            string
	from, to, every float64 // the x axis and the distance of its ticks
	shaded          float64 // the end of the shaded interval, which begins at 0; or 0
	conditions      string
}

func lives(lifetime, latency time.Duration) string {
	return fmt.Sprintf("credentials live %s, STS answers after %s", short(lifetime), short(latency))
}

var charts = []chart{
	{
		measure: "steady", File: "latency", Title: "Longest request in each 50 ms, while credentials are refreshed", series: latencies,
		contenders: []string{sdk, sdkWindow, ours}, x: "seconds", y: "milliseconds", to: 10, every: 5,
		conditions: lives(full.Steady.Lifetime, full.Steady.Latency),
	},
	{
		measure: "outage", File: "outage", Title: "Requests served within 1 s, while STS answers 503 for 10 s", series: served + ", " + shorter + "503",
		contenders: []string{sdk, sdkWindow, minioGo, ours}, x: "seconds since the outage began", y: "requests per second", from: -5, to: 20, every: 5, shaded: 10,
		conditions: lives(full.Outage.Long, full.Outage.Latency),
	},
	{
		measure: "outage", File: "calls", Title: "STS calls, while STS refuses connections for 10 s", series: calling + ", " + longer + "refused",
		contenders: []string{sdk, sdkWindow, minioGo, ours}, x: "seconds since the outage began", y: "STS calls per second", from: -5, to: 20, every: 5, shaded: 10,
		conditions: lives(full.Outage.Short, full.Outage.Latency),
	},
	{
		measure: "herd", File: "herd", Title: "STS calls of 1,000 pods that started at the same instant", series: herding,
		contenders: []string{sdk, sdkWindow, ours}, x: "lifetimes of the credentials since the start", y: "STS calls per 1/100 lifetime", to: 4, every: 1,
		conditions: lives(full.Herd.Lifetime, full.Herd.Latency),
	},
	{
		measure: "survival", File: "survival", Title: "Pods that still have credentials during an outage of STS", series: surviving,
		contenders: []string{sdk + " for 12h", ours + " for 15m", ours + " for 1h", ours + " for 12h"}, x: "hours since the outage began", y: "pods in percent", to: 12, every: 2,
		conditions: "credentials live 15m, 1h or 12h, STS answered after " + short(full.Survival.Latency) + " before the outage",
	},
}

type theme struct {
	name                          string
	Background, Text, Muted, Grid string
	colors                        map[string]string // by contender
}

var themes = []theme{
	{"light", "#ffffff", "#1f2328", "#59636e", "#d8dee4", map[string]string{ours: "#1a7f37", sdk: "#cf222e", sdkWindow: "#bc6c00", minioGo: "#8250df"}},
	{"dark", "#0d1117", "#e6edf3", "#9198a1", "#30363d", map[string]string{ours: "#3fb950", sdk: "#ff7b72", sdkWindow: "#e3b341", minioGo: "#bc8cff"}},
}

// The layout of a chart, in pixels.
const (
	panelWidth, panelHeight = 552, 80
	firstPanel, panelStep   = 98, 112 // the top of the first panel, and the distance to the next
)

// tick is a tick of an axis, relative to the panel.
type tick struct{ At, Label string }

type panel struct {
	Contender, Color, Path string
	Range                  string // the least and the largest value
	Top                    int
}

// drawing returns the data of the template.
func (c chart) drawing(r *report, t theme) map[string]any {
	s, top := r.Sheet(c.measure), 0.0
	var shown []series
	for _, contender := range c.contenders {
		for _, line := range s.Series {
			if line.Chart == c.series && line.Contender == contender {
				shown = append(shown, line)
				top = max(top, slices.Max(line.Y))
			}
		}
	}
	every := tickDistance(top)
	top = every * max(1, math.Ceil(top/every))
	x := func(v float64) float64 { return (v - c.from) / (c.to - c.from) * panelWidth }
	y := func(v float64) float64 { return panelHeight * (1 - v/top) }
	var panels []panel
	for i, line := range shown {
		var path strings.Builder
		contender, _, _ := strings.Cut(line.Contender, " for ")
		fmt.Fprintf(&path, "M%.4g %.4g", x(line.From), y(line.Y[0]))
		for j, v := range line.Y {
			fmt.Fprintf(&path, "V%.4gH%.4g", y(v), x(line.From+float64(j+1)*line.Step))
		}
		panels = append(panels, panel{
			Contender: line.Contender, Color: t.colors[contender], Path: path.String(), Top: firstPanel + i*panelStep,
			Range: "min " + significant(slices.Min(line.Y)) + ", max " + significant(slices.Max(line.Y)),
		})
	}
	height := firstPanel + (len(panels)-1)*panelStep + panelHeight + 52
	return map[string]any{
		"Title": c.Title, "Conditions": c.conditions,
		"Versions": r.versions(c.contenders), "Theme": t, "Panels": panels, "XLabel": c.x, "YLabel": c.y,
		"Height": height, "Middle": (firstPanel + height - 52) / 2, "XTicks": ticks(c.from, c.to, c.every, x), "YTicks": ticks(0, top, every, y),
		"ShadedFrom": x(0), "ShadedWidth": x(c.shaded) - x(0),
	}
}

// tickDistance returns 1, 2 or 5 times a power of ten, so that at most five ticks reach from 0 to the value.
func tickDistance(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v/4)))
	for _, factor := range []float64{1, 2, 5} {
		if 4*factor*power >= v {
			return factor * power
		}
	}
	return 10 * power
}

func ticks(from, to, every float64, at func(float64) float64) []tick {
	var all []tick
	for i := range int(math.Round((to-from)/every)) + 1 {
		v := from + float64(i)*every
		all = append(all, tick{fmt.Sprintf("%.4g", at(v)), significant(v)})
	}
	return all
}
