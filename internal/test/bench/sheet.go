package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A sheet contains the figures of a measure.
type sheet struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	About   string   `json:"about"`
	Again   string   `json:"again,omitempty"` // describes the run, if it is not that of the report
	Figures []figure `json:"figures"`
	Lines   []line   `json:"lines,omitempty"`
}

// A figure contains the results of one contender in one scene, one for each run.
type figure struct {
	Scene     string    `json:"scene,omitempty"`
	Contender string    `json:"contender"`
	Name      string    `json:"name"`
	Unit      unit      `json:"unit,omitempty"`
	Runs      []float64 `json:"runs"`
}

// A line is the data of one contender in a chart, from the first run.
type line struct {
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
		return
	}
	s.Figures = append(s.Figures, figure{scene, contender, name, u, []float64{value}})
}

func (s *sheet) addTime(scene, contender, name string, d time.Duration) {
	s.add(scene, contender, name, elapsed, float64(d))
}

func (s *sheet) addCount(scene, contender, name string, n int) {
	s.add(scene, contender, name, times, float64(n))
}

// draw records a line for a chart. Only the first run counts.
func (s *sheet) draw(l line) {
	for _, known := range s.Lines {
		if known.Chart == l.Chart && known.Contender == l.Contender {
			return
		}
	}
	s.Lines = append(s.Lines, l)
}

func (s *sheet) find(scene, contender, name string) *figure {
	for i := range s.Figures {
		if f := &s.Figures[i]; f.Scene == scene && f.Contender == contender && f.Name == name {
			return f
		}
	}
	return nil
}

// sum returns the sum of a figure's runs.
func (s *sheet) sum(scene, contender, name string) float64 {
	total := 0.0
	for _, run := range s.find(scene, contender, name).Runs {
		total += run
	}
	return total
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
	text := f.Unit.format(f.median())
	least, most := f.Unit.format(slices.Min(f.Runs)), f.Unit.format(slices.Max(f.Runs))
	if least == most {
		return text
	}
	return fmt.Sprintf("%s (%s–%s)", text, least, most)
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
	i := 0
	for ; v >= factor && i < len(units)-1; i++ {
		v /= factor
	}
	digits := 0
	switch {
	case v == math.Trunc(v):
	case v < 10:
		digits = 2
	case v < 100:
		digits = 1
	}
	return fmt.Sprintf("%.*f %s", digits, v, units[i])
}

// grouped formats 12345 as 12,345.
func grouped(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// tableStyle is the format of a table.
type tableStyle int

const (
	plainTable tableStyle = iota
	markdownTable
)

// table returns a table with a row for each contender in each scene, and a column for each
// name.
func (s *sheet) table(style tableStyle) string {
	header, rows := []string{"", ""}, [][]string{}
	index := map[[2]string]int{}
	for _, f := range s.Figures {
		column := slices.Index(header, f.Name)
		if column < 0 {
			column = len(header)
			header = append(header, f.Name)
		}
		key := [2]string{f.Scene, f.Contender}
		row, known := index[key]
		if !known {
			row = len(rows)
			index[key] = row
			rows = append(rows, []string{f.Scene, f.Contender})
		}
		for len(rows[row]) <= column {
			rows[row] = append(rows[row], "")
		}
		rows[row][column] = f.String()
	}
	return writeTable(style, header, rows)
}

// writeTable returns a table with the header and the rows.
func writeTable(style tableStyle, header []string, rows [][]string) string {
	var text strings.Builder
	if style == markdownTable {
		fmt.Fprintf(&text, "| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat("---|", len(header)))
		for _, row := range rows {
			row = append(row, make([]string, len(header)-len(row))...)
			fmt.Fprintf(&text, "| %s |\n", strings.Join(row, " | "))
		}
		return text.String()
	}
	return alignTable(append([][]string{header}, rows...))
}

// alignTable returns the rows with aligned columns.
func alignTable(rows [][]string) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // writing to a Builder never fails
	return text.String()
}
