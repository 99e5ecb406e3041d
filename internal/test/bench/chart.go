package main

import (
	"bytes"
	"fmt"
	"image/color"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A chart plots lines of a sheet.
type chart struct {
	measure    string
	File       string
	Title      string
	lines      string // the name of the lines to plot
	contenders []string
	x, y       string
	until      float64 // the maximum x; 0 for no limit
	steps      bool
	log        bool    // a logarithmic y axis
	least      float64 // the minimum y of a logarithmic axis
}

var charts = []chart{
	{
		measure: "steady", File: "latency", Title: "Longest request of each 10 ms, through refreshes", lines: latencies,
		contenders: []string{sdk, sdkWindow, ours}, x: "seconds", y: "milliseconds", until: 16, log: true, least: 0.1,
	},
	{
		measure: "outage", File: "outage", Title: "Requests that had credentials within 1 s, while STS answers 503 for 10 s", lines: answering + " " + shorter + "503",
		contenders: []string{sdk, sdkWindow, minioGo, ours}, x: "seconds since the outage began", y: "a second", steps: true,
	},
	{
		measure: "outage", File: "calls", Title: "STS calls, while STS refuses connections for 10 s and credentials end", lines: asking + " " + longer + "refused",
		contenders: []string{sdk, sdkWindow, minioGo, ours}, x: "seconds since the outage began", y: "a second", steps: true, log: true, least: 0.1,
	},
	{
		measure: "herd", File: "herd", Title: "STS calls of 1,000 pods that started at the same instant", lines: herding,
		contenders: []string{sdk, sdkWindow, ours}, x: "lives of the credentials", y: "in a hundredth of a life",
	},
}

// isDrawn reports whether a chart shows the line.
func isDrawn(l line) bool {
	return slices.ContainsFunc(charts, func(c chart) bool { return c.lines == l.Chart && slices.Contains(c.contenders, l.Contender) })
}

// theme is the light or the dark color theme.
type theme struct {
	name                   string
	background, text, grid color.Color
	lines                  map[string]color.Color
}

var themes = []theme{
	{
		name: "light", background: hex(0xffffff), text: hex(0x1f2328), grid: hex(0xd8dee4),
		lines: map[string]color.Color{ours: hex(0x1a7f37), sdk: hex(0xcf222e), sdkWindow: hex(0xbc6c00), minioGo: hex(0x8250df)},
	},
	{
		name: "dark", background: hex(0x0d1117), text: hex(0xe6edf3), grid: hex(0x30363d),
		lines: map[string]color.Color{ours: hex(0x3fb950), sdk: hex(0xff7b72), sdkWindow: hex(0xe3b341), minioGo: hex(0xbc8cff)},
	},
}

func hex(rgb uint32) color.Color {
	return color.RGBA{uint8(rgb >> 16), uint8(rgb >> 8 & 0xff), uint8(rgb & 0xff), 0xff} // #nosec G115 -- eight bits each
}

// Picture returns the chart in Markdown. It follows the color scheme of the reader's browser.
func (c chart) Picture(folder string) string {
	return fmt.Sprintf(`<picture>
  <source media="(prefers-color-scheme: dark)" srcset="%[1]s%[2]s-dark.svg">
  <img alt="%[3]s" src="%[1]s%[2]s-light.svg">
</picture>`, folder, c.File, c.Title)
}

// svgs returns the files of the chart, one for each theme. There are none if the report does
// not contain the measure.
func (c chart) svgs(r *report) (map[string][]byte, error) {
	s := r.sheet(c.measure)
	if s == nil {
		return nil, nil
	}
	files := map[string][]byte{}
	for _, t := range themes {
		p, err := c.draw(s, t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.File, err)
		}
		canvas := vgsvg.New(16*vg.Centimeter, 8*vg.Centimeter)
		p.Draw(draw.Crop(draw.New(canvas), 4, -8, 4, -4))
		var text bytes.Buffer
		if _, err := canvas.WriteTo(&text); err != nil {
			return nil, err
		}
		files[c.File+"-"+t.name+".svg"] = text.Bytes()
	}
	return files, nil
}

// draw draws the chart.
func (c chart) draw(s *sheet, t theme) (*plot.Plot, error) {
	p := plot.New()
	t.paint(p)
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.Title, c.x, c.y
	if c.log {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	} else {
		p.Y.Tick.Marker = plot.TickerFunc(wholeTicks)
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = t.grid, t.grid
	p.Add(grid)
	for _, contender := range c.contenders {
		for _, l := range s.Lines {
			if l.Chart != c.lines || l.Contender != contender {
				continue
			}
			curve, err := plotter.NewLine(c.points(l))
			if err != nil {
				return nil, err
			}
			if c.steps {
				curve.StepStyle = plotter.PostStep
			}
			curve.Color, curve.Width = t.lines[contender], vg.Points(1.2)
			p.Add(curve)
			p.Legend.Add(contender, curve)
		}
	}
	p.Y.Max *= 1.4 // room for the legend
	if c.log {
		p.Y.Max *= 10
	}
	return p, nil
}

// wholeTicks returns the default ticks of package plot with labels as whole numbers.
func wholeTicks(least, most float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(least, most)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = grouped(int64(ticks[i].Value))
		}
	}
	return ticks
}

// points returns the points of a line that the chart shows.
func (c chart) points(l line) plotter.XYs {
	var points plotter.XYs
	for i, y := range l.Y {
		x := l.From + float64(i)*l.Step
		if c.until > 0 && x > c.until {
			break
		}
		if c.log { // a logarithmic axis has no zero
			y = max(y, c.least)
		}
		points = append(points, plotter.XY{X: x, Y: y})
	}
	return points
}

// paint sets the theme's colors and a font that all browsers have.
func (t theme) paint(p *plot.Plot) {
	p.BackgroundColor = t.background
	face := font.Font{Typeface: "Liberation", Variant: "Sans"}
	p.Title.TextStyle.Font, p.Title.TextStyle.Color, p.Title.Padding = font.From(face, 11), t.text, 6
	p.Legend.TextStyle.Font, p.Legend.TextStyle.Color = font.From(face, 9), t.text
	p.Legend.Top, p.Legend.Padding, p.Legend.ThumbnailWidth = true, 2, 20
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color, axis.Tick.Color = t.text, t.text
		axis.Label.TextStyle.Font, axis.Label.TextStyle.Color = font.From(face, 9), t.text
		axis.Tick.Label.Font, axis.Tick.Label.Color = font.From(face, 9), t.text
	}
}
