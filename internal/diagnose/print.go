package diagnose

import (
	"fmt"
	"slices"
	"strings"
)

// opening is a short introduction to IRSA.
const opening = "IRSA (IAM Roles for Service Accounts) gives a pod AWS credentials without stored keys: the EKS webhook sets AWS_ROLE_ARN and " +
	"AWS_WEB_IDENTITY_TOKEN_FILE in new pods of an annotated service account, and AWS STS exchanges the token in that file for the role's credentials."

// defaultWidth is the line width if none is given, and minWidth the smallest width.
const (
	defaultWidth = 80
	minWidth     = 40
)

// Print formats the checks as text, wrapped at width bytes except for longer words. Failed checks
// come first, followed by warnings. The remaining checks are counted, or listed if all is set.
func Print(checks []Check, width int, all bool) string {
	if width <= 0 {
		width = defaultWidth
	}
	p := &printer{width: max(width, minWidth)}
	p.wrap(opening, "", "")
	counts := map[Status]int{}
	first := ""
	for _, status := range []Status{Failed, Warned} {
		for _, c := range checks {
			if c.Status == status {
				p.problem(c)
				if first == "" && status == Failed {
					first = c.Name
				}
			}
		}
	}
	for _, c := range checks {
		counts[c.Status]++
	}
	p.newline()
	if all {
		p.others(checks)
	}
	p.wrap(summary(counts), "", "")
	p.wrap(conclusion(counts, len(checks), first), "", "")
	return p.text.String()
}

// conclusion returns how many checks failed or warned, and which to fix first.
func conclusion(counts map[Status]int, all int, first string) string {
	warned := ""
	switch n := counts[Warned]; n {
	case 0:
	case 1:
		warned = ", 1 has a warning"
	default:
		warned = fmt.Sprintf(", %d have warnings", n)
	}
	if first == "" {
		return "No check failed" + warned + ". If AWS still denies a request, check the permissions policies of the role."
	}
	if counts[Failed] == 1 {
		return fmt.Sprintf("1 of %d checks failed%s.", all, warned)
	}
	return fmt.Sprintf("%d of %d checks failed%s. Begin with %q.", counts[Failed], all, warned, first)
}

// summary returns how many checks passed and how many were skipped.
func summary(counts map[Status]int) string {
	text := fmt.Sprintf("%d checks passed", counts[Passed])
	if counts[Passed] == 1 {
		text = "1 check passed"
	}
	switch n := counts[Skipped]; n {
	case 0:
		return text + "."
	case 1:
		return text + ", 1 was skipped, because it does not apply or depends on another check."
	default:
		return fmt.Sprintf("%s, %d were skipped, because they do not apply or depend on another check.", text, n)
	}
}

// printer collects wrapped lines.
type printer struct {
	width  int
	text   strings.Builder
	advice string // advice of the previous problem
}

func (p *printer) newline() { p.text.WriteByte('\n') }

// problem adds a failed check or a warning, with its advice and link.
func (p *printer) problem(c Check) {
	const indent = "         "
	p.newline()
	fmt.Fprintf(&p.text, "%-7s  %s\n", word(c.Status), c.Name)
	p.wrap(c.Detail, indent, indent)
	if c.Advice != "" && c.Advice == p.advice {
		p.wrap("fix: as above", indent, indent)
		return
	}
	p.advice = c.Advice
	if c.Advice != "" {
		p.wrap("fix: "+c.Advice, indent, indent+"    ")
	}
	if c.Link != "" {
		p.text.WriteString(indent + "see " + c.Link + "\n")
	}
}

// others adds the checks that passed or were skipped, with their details.
func (p *printer) others(checks []Check) {
	width := 0
	for _, c := range checks {
		width = max(width, len(c.Name))
	}
	others := slices.DeleteFunc(slices.Clone(checks), func(c Check) bool { return c.Status == Failed || c.Status == Warned })
	for _, c := range others {
		p.wrap(c.Detail, fmt.Sprintf("%-7s  %-*s  ", word(c.Status), width, c.Name), strings.Repeat(" ", width+11))
	}
	if len(others) > 0 {
		p.newline()
	}
}

// word returns the status, in capitals if it is Failed.
func word(s Status) string {
	if s == Failed {
		return strings.ToUpper(string(s))
	}
	return string(s)
}

// wrap adds text, wrapped at the width except for longer words. first and rest are the prefixes of
// the first line and of the remaining lines.
func (p *printer) wrap(text, first, rest string) {
	line, empty := first, true
	for _, w := range strings.Fields(text) {
		if !empty && len(line)+1+len(w) > p.width {
			p.text.WriteString(strings.TrimRight(line, " ") + "\n")
			line, empty = rest, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+w, false
	}
	p.text.WriteString(strings.TrimRight(line, " ") + "\n")
}
