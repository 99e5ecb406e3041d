package docs

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

const (
	module       = "github.com/irsakit/irsakit"
	measurements = "docs/performance.md"
)

var (
	inlineCode = regexp.MustCompile("`[^`]*`")
	linkTarget = regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"|^\[[^\]]+\]: *(\S+)`)
	scheme     = regexp.MustCompile(`^[a-z]+:`)
	ourURL     = regexp.MustCompile(`^https://(?:` + module + `/(?:blob|tree)/main|pkg\.go\.dev/` + module + `)/`)
	command    = regexp.MustCompile("\\bgo(?: -C (\\S+))? (?:run|test|build|vet|install|get)((?: [^\\s`|;&#]+)*)")
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
func (r *repository) checkCode(code []string) (faults []string) {
	longest, where := 0, "not even the first line"
	for _, name := range slices.Sorted(maps.Keys(r.code)) {
		for start := range r.code[name] {
			n := matching(r.code[name][start:], code)
			if n == len(code) {
				return nil
			}
			if n > longest {
				longest, where = n, fmt.Sprintf("the lines from %s:%d on differ at %q", name, start+1, strings.TrimSpace(code[n]))
			}
		}
	}
	return []string{"no Go file contains this code: " + where}
}

// matching returns how many lines of a block are at the beginning of a file's lines.
func matching(lines, code []string) int {
	for i, line := range code {
		line = strings.TrimSpace(line)
		if line == "…" {
			longest := 0
			for skipped := range lines[i:] {
				longest = max(longest, matching(lines[i+skipped:], code[i+1:]))
			}
			return i + 1 + longest
		}
		if i == len(lines) || strings.TrimSpace(lines[i]) != line {
			return i
		}
	}
	return len(code)
}

// checkCommands checks that the folders in the go commands of a line exist, and the tests.
func (r *repository) checkCommands(line string) (faults []string) {
	for _, match := range command.FindAllStringSubmatch(line, -1) {
		var folders, run []string
		arguments := append([]string{""}, strings.Fields(match[2])...) // the first stands for the folder of -C
		for i, argument := range arguments {
			ours, ok := strings.CutPrefix(argument, module)
			folder, _, _ := strings.Cut(ours, "@")
			switch {
			case i > 0 && arguments[i-1] == "-run":
				run = append(run, strings.Trim(argument, `'"`))
			case ok:
				folders = append(folders, path.Join(".", folder))
			case i == 0 || strings.HasPrefix(argument, "./"):
				folders = append(folders, path.Join(".", match[1], strings.TrimSuffix(argument, "...")))
			}
		}
		for _, folder := range folders {
			if _, err := fs.Stat(r.files, folder); err != nil {
				faults = append(faults, fmt.Sprintf("%q: there is no folder %s", match[0], folder))
			}
		}
		for _, pattern := range run {
			has := func(folder string) bool { return r.hasTest(folder, regexp.MustCompile(pattern)) }
			if !slices.ContainsFunc(folders[min(1, len(folders)-1):], has) {
				faults = append(faults, fmt.Sprintf("%q: there is no such test", match[0]))
			}
		}
	}
	return faults
}

// hasTest reports whether a folder or one below it has a test whose name matches a pattern.
func (r *repository) hasTest(folder string, pattern *regexp.Regexp) bool {
	for name, lines := range r.code {
		if folder != "." && !strings.HasPrefix(name, folder+"/") {
			continue
		}
		for _, match := range declaration.FindAllStringSubmatch(strings.Join(lines, "\n"), -1) {
			if pattern.MatchString(match[1]) {
				return true
			}
		}
	}
	return false
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
