package docs

import (
	"fmt"
	"io/fs"
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
	packages   = regexp.MustCompile(` (\./|` + module + `)([^\s@]*)`)
	runFlag    = regexp.MustCompile(` -run ['"]?([^\s'"]+)`)
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
