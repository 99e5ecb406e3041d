package main

import (
	"bytes"
	_ "embed"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed page.md
var pageText string

// page renders the page of a report. All figures of the page come from the report.
func page(r *report) ([]byte, error) {
	t, err := template.New("page").Funcs(template.FuncMap{
		"table": (*sheet).table,
		"bars":  r.barTable,
		"charts": func(measure string) []chart {
			var all []chart
			for _, c := range charts {
				if c.measure == measure {
					all = append(all, c)
				}
			}
			return all
		},
	}).Parse(pageText)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	err = t.Execute(&text, r)
	return text.Bytes(), err
}

// writeDocs writes the page, its charts and its figures.
func writeDocs(docs string, r *report) error {
	if err := r.write(docs); err != nil {
		return err
	}
	for _, c := range charts {
		files, err := c.svgs(r)
		if err != nil {
			return err
		}
		for name, svg := range files {
			if err := os.WriteFile(filepath.Join(docs, "performance", name), svg, 0o644); err != nil { // #nosec G306 -- a file of the repository
				return err
			}
		}
	}
	text, err := page(r)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(docs, "performance.md"), text, 0o644) // #nosec G306 -- a file of the repository
}
