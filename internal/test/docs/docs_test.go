package docs

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// faults returns the faults of all pages, with their places.
func (r *repository) faults() (faults []string) {
	for _, name := range slices.Sorted(maps.Keys(r.pages)) {
		p := r.pages[name]
		add := func(line int, found ...string) {
			for _, fault := range found {
				faults = append(faults, fmt.Sprintf("%s:%d: %s", name, line, fault))
			}
		}
		section := 0
		for i, line := range p.prose {
			add(i+1, r.checkLinks(p, line)...)
			add(i+1, r.checkCommands(line)...)
			if i+1 == len(p.prose) || strings.HasPrefix(p.prose[i+1], "#") {
				add(section+1, r.checkFigures(p, p.prose[section:i+1])...)
				section = i + 1
			}
		}
		for _, b := range p.blocks {
			switch {
			case b.language == "go":
				add(b.line, r.checkCode(b.code)...)
			case b.language == "json" && !json.Valid([]byte(strings.Join(b.code, "\n"))):
				add(b.line, "this is not JSON")
			default:
				for i, line := range b.code {
					add(b.line+i+1, r.checkCommands(line)...)
				}
			}
		}
	}
	return faults
}

func TestPagesHaveNoFaults(t *testing.T) {
	r, err := read(os.DirFS("../../.."))
	require.NoError(t, err)
	require.Greater(t, len(r.pages), 15)
	assert.Empty(t, r.faults())
}

// The repository in testdata has each kind of fault, next to similar lines without faults.
func TestFaultsAreFound(t *testing.T) {
	r, err := read(os.DirFS("testdata/repository"))
	require.NoError(t, err)
	want, err := os.ReadFile("testdata/faults.txt")
	require.NoError(t, err)
	assert.Equal(t, strings.FieldsFunc(string(want), func(r rune) bool { return r == '\n' || r == '\r' }), r.faults())
}

// repository is the files that the checks read, without test data and hidden directories.
type repository struct {
	files    fs.FS
	pages    map[string]*page  // the Markdown files
	code     map[string]string // the Go files, without indentation
	tests    []string          // directories and names
	measured []string          // the figures of the page of measurements
}

type page struct {
	name    string
	prose   []string // its lines, those of blocks of code empty
	blocks  []block
	anchors map[string]bool
}

// block is a fenced block of code.
type block struct {
	line     int // where it begins
	language string
	code     []string
}

// template has links relative to the directory of the page that it becomes.
const template = "internal/test/bench/page.md"

// indentation matches what is trimmed from lines of code.
var indentation = regexp.MustCompile(`(?m)^[ \t]+|[ \t]+$`)

func read(files fs.FS) (*repository, error) {
	r := &repository{files: files, pages: map[string]*page{}, code: map[string]string{}}
	return r, fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if base := path.Base(name); err == nil && entry.IsDir() && (base == "testdata" || len(base) > 1 && base[0] == '.') {
			return fs.SkipDir
		}
		kind := path.Ext(name)
		if err != nil || entry.IsDir() || kind != ".go" && kind != ".md" || name == template {
			return err
		}
		content, err := fs.ReadFile(files, name)
		text := strings.ReplaceAll(string(content), "\r\n", "\n")
		switch {
		case kind == ".go":
			for _, match := range declaration.FindAllStringSubmatch(text, -1) {
				r.tests = append(r.tests, path.Join(path.Dir(name), match[1]))
			}
			r.code[name] = indentation.ReplaceAllString("\n"+text+"\n", "")
		case name == measurements:
			r.measured = figuresOf(text)
			fallthrough
		default:
			r.pages[name] = parse(name, strings.Split(text, "\n"))
		}
		return err
	})
}

func parse(name string, lines []string) *page {
	p := &page{name: name, prose: make([]string, len(lines)), anchors: map[string]bool{}}
	var open *block
	for i, line := range lines {
		language, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open == nil:
			open = &block{line: i + 1, language: language}
		case fence:
			p.blocks, open = append(p.blocks, *open), nil
		case open != nil:
			open.code = append(open.code, line)
		default:
			p.prose[i] = line
			if heading := strings.TrimLeft(line, "#"); heading != line {
				p.anchors[anchor(heading)] = true
			}
		}
	}
	return p
}

// anchor returns the anchor that GitHub gives to a heading.
func anchor(heading string) string {
	text := regexp.MustCompile(`\]\([^)]*\)|[^\pL\pN _-]`).ReplaceAllString(strings.TrimSpace(heading), "")
	return strings.ReplaceAll(strings.ToLower(text), " ", "-")
}
