package main

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// A sheet contains the figures of a measure.
type sheet struct {
	Name    string   `json:"name"`
	Runs    int      `json:"runs"`
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

type unit string

const (
	times   unit = ""   // a count
	elapsed unit = "ns" // a time
	memory  unit = "B"
)

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
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2 // the same one twice if their number is odd
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
		if v >= float64(2*time.Minute) {
			return short(time.Duration(v).Round(time.Second))
		}
		return scaled(v, []string{"ns", "µs", "ms", "s"}, 1000)
	case memory:
		return scaled(v, []string{"B", "KiB", "MiB", "GiB"}, 1024)
	default:
		return grouped(int64(math.Round(v)))
	}
}

var zeros = regexp.MustCompile(`([hm])(0[ms])+$`)

// short formats a duration like time.Duration.String, without minutes and seconds that are 0.
func short(d time.Duration) string { return zeros.ReplaceAllString(d.String(), "$1") }

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
func grouped(n int64) string { return message.NewPrinter(language.English).Sprint(n) }

// Table returns a Markdown table with a row for each contender in each scene, and a column for each name.
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

func writeTable(header []string, rows [][]string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat("---|", len(header)))
	for _, row := range rows {
		row = append(row, make([]string, len(header)-len(row))...)
		fmt.Fprintf(&text, "| %s |\n", strings.Join(row, " | "))
	}
	return text.String()
}
