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

const (
	module       = "github.com/irsakit/irsakit"
	measurements = "docs/performance.md"
	template     = "internal/test/bench/page.md" // its links are relative to the directory of the page that it becomes
)

var (
	inlineCode = regexp.MustCompile("`[^`]*`")
	linkTarget = regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"|^\[[^\]]+\]: *(\S+)`)
	scheme     = regexp.MustCompile(`^[a-z]+:`)
	ourURL     = regexp.MustCompile(`^https://(?:` + module + `/(?:blob|tree)/main|pkg\.go\.dev/` + module + `)/`)
	command    = regexp.MustCompile("\\bgo(?: -C (\\S+))? (?:run|test|build|vet|install|get)((?: [^\\s`|;&#]+)*)")
	packages   = regexp.MustCompile(` (\./|` + module + `)([^\s@]*)`)
	runFlag    = regexp.MustCompile(` -run ['"]?([^\s'"]+)`)
	// indentation is what is trimmed from lines of code.
	indentation = regexp.MustCompile(`(?m)^[ \t]+|[ \t]+$`)
	// declaration is that of a test, and figure a number with a unit.
	declaration = regexp.MustCompile(`(?m)^func ((?:Test|Example|Fuzz)\w*)\(`)
	figure      = regexp.MustCompile(`(\d[\d.,]*)\s?(ns|µs|ms|s|KiB|MiB|B|%|×)(?:[^\pL\pN]|$)`)
)

// links returns the targets in a line that are in the repository: names of files, and anchors.
func (p *page) links(line string) (names, anchors []string) {
	for _, match := range linkTarget.FindAllStringSubmatch(inlineCode.ReplaceAllString(line, ""), -1) {
		name, anchor, _ := strings.Cut(match[1]+match[2]+match[3], "#")
		switch {
		case ourURL.MatchString(name):
			name = ourURL.ReplaceAllString(name, "")
		case scheme.MatchString(name):
			continue
		case name == "":
			name = p.name
		default:
			name = path.Join(path.Dir(p.name), name)
		}
		names, anchors = append(names, name), append(anchors, anchor)
	}
	return names, anchors
}

func (r *repository) checkLinks(p *page, line string) (faults []string) {
	names, anchors := p.links(line)
	for i, name := range names {
		if _, err := fs.Stat(r.files, name); err != nil {
			faults = append(faults, fmt.Sprintf("a link leads to %s, which does not exist", name))
		} else if to := r.pages[name]; to != nil && anchors[i] != "" && !to.anchors[anchors[i]] {
			faults = append(faults, fmt.Sprintf("a link leads to #%s, which is no heading of %s", anchors[i], name))
		}
	}
	return faults
}

// checkCode checks that a Go file contains the lines of a block.
func (r *repository) checkCode(code []string) []string {
	if r.find(code) != "" {
		return nil
	}
	for n := len(code) - 1; n > 0; n-- {
		if name := r.find(code[:n]); name != "" {
			return []string{fmt.Sprintf("no Go file contains this code: %s differs at %q", name, strings.TrimSpace(code[n]))}
		}
	}
	return []string{"no Go file contains this code: not even the first line"}
}

// find returns the name of a file that contains the lines, or "". A line "…" stands for any number of lines.
func (r *repository) find(code []string) string {
	pattern := `\n`
	for _, line := range code {
		if line = strings.TrimSpace(line); line == "…" {
			pattern += `(?:.*\n)*?`
		} else {
			pattern += regexp.QuoteMeta(line) + `\n`
		}
	}
	block := regexp.MustCompile(pattern)
	for name, text := range r.code {
		if block.MatchString(text) {
			return name
		}
	}
	return ""
}

// checkCommands checks that the directories in the go commands of a line exist, and the tests.
func (r *repository) checkCommands(line string) (faults []string) {
	for _, match := range command.FindAllStringSubmatch(line, -1) {
		directories := []string{path.Join(".", match[1])}
		for _, argument := range packages.FindAllStringSubmatch(match[2], -1) {
			base := map[bool]string{true: match[1]}[argument[1] == "./"]
			directories = append(directories, path.Join(".", base, strings.TrimSuffix(argument[2], "...")))
		}
		for _, directory := range directories {
			if _, err := fs.Stat(r.files, directory); err != nil {
				faults = append(faults, fmt.Sprintf("%q: there is no directory %s", match[0], directory))
			}
		}
		for _, run := range runFlag.FindAllStringSubmatch(match[2], -1) {
			pattern := regexp.MustCompile(run[1])
			if !slices.ContainsFunc(r.tests, func(test string) bool {
				inDirectory := func(directory string) bool { return directory == "." || strings.HasPrefix(test, directory+"/") }
				return pattern.MatchString(path.Base(test)) && slices.ContainsFunc(directories[min(1, len(directories)-1):], inDirectory)
			}) {
				faults = append(faults, fmt.Sprintf("%q: there is no such test", match[0]))
			}
		}
	}
	return faults
}

// figuresOf returns the figures in a text, without the space before the unit.
func figuresOf(text string) (figures []string) {
	for _, match := range figure.FindAllStringSubmatch(text, -1) {
		figures = append(figures, match[1]+match[2])
	}
	return figures
}

// checkFigures checks the lines of a section.
func (r *repository) checkFigures(p *page, section []string) (faults []string) {
	names, _ := p.links(strings.Join(section, "\n"))
	if p.name == measurements || !slices.Contains(names, measurements) {
		return nil
	}
	for _, figure := range figuresOf(inlineCode.ReplaceAllString(strings.Join(section, "\n"), "")) {
		if !slices.Contains(r.measured, figure) {
			faults = append(faults, fmt.Sprintf("the figure %s is not in %s", figure, measurements))
		}
	}
	return faults
}
