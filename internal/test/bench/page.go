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

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// docFiles returns the page and the charts of a report by their paths in the folder docs. The page
// is a template; all its figures come from the report.
func (r *report) docFiles() (map[string]string, error) {
	var text bytes.Buffer
	if err := pageTemplate.Execute(&text, r); err != nil {
		return nil, err
	}
	files := map[string]string{"performance.md": text.String()}
	for _, c := range charts {
		for _, t := range themes {
			var svg bytes.Buffer
			if err := chartTemplate.Execute(&svg, c.drawing(r, t)); err != nil {
				return nil, err
			}
			files["performance/"+c.File+"-"+t.name+".svg"] = svg.String()
		}
	}
	return files, nil
}

// writeDocs writes the page, its charts and its figures.
func writeDocs(docs string, r *report) error {
	files, err := r.docFiles()
	if err != nil {
		return err
	}
	if files[figuresFile], err = r.encode(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(docs, "performance"), 0o755); err != nil { // #nosec G301 -- a folder of the repository
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(docs, name), []byte(text), 0o644); err != nil { // #nosec G306 -- a file of the repository
			return err
		}
	}
	return nil
}
