package trustpolicy

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/irsakit/irsakit/internal/lazyregexp"
)

// Policy is a parsed trust policy.
type Policy struct {
	statements []statement
}

type statement struct {
	index      int // starts at 1
	sid        string
	effect     string
	principals []principal
	actions    actions
	conditions []condition
}

const (
	allow = "Allow"
	deny  = "Deny"
)

// Versions of the policy language ("IAM JSON policy elements: Version"). Only the newer version has
// policy variables.
const (
	version2008 = "2008-10-17"
	version2012 = "2012-10-17"
)

// ErrUnsupported is the error for an element that IAM may accept but this package does not evaluate.
var ErrUnsupported = errors.New("it is not supported")

// Parse parses a trust policy document. It returns an error for anything that IAM does not accept,
// and [ErrUnsupported] for an element that IAM may accept but this package does not evaluate. The
// error includes the position in the document.
func Parse(document []byte) (*Policy, error) {
	p, err := parse(document)
	if err != nil && bytes.Contains(document, []byte(`"AssumeRolePolicyDocument"`)) {
		err = fmt.Errorf("%w: the policy is its AssumeRolePolicyDocument", err)
	}
	if err != nil {
		return nil, fmt.Errorf("trustpolicy: %w", err)
	}
	return p, nil
}

func parse(document []byte) (*Policy, error) {
	value, err := readDocument(document)
	if err != nil {
		return nil, err
	}
	switch inner, _ := value.(string); {
	case strings.HasPrefix(strings.TrimSpace(inner), "{"): // as Terraform prints it
		return nil, errors.New("it is a string that contains JSON: decode it first")
	case isPercentEncoded(inner): // as PowerShell prints it
		return nil, errPercentEncoded
	}
	fields, err := members(value)
	if err != nil {
		return nil, at("the document", err)
	}
	version, err := parseHead(fields)
	if err != nil {
		return nil, err
	}
	body, ok := fields.lookup("Statement")
	if !ok {
		return nil, errors.New("it has no Statement")
	}
	return parseStatements(body, version)
}

// Keys returns the condition keys in the policy, as written.
func (p *Policy) Keys() []string {
	var out []string
	for _, s := range p.statements {
		for _, c := range s.conditions {
			out = append(out, c.key)
		}
	}
	return out
}

// UnknownOperators returns the unknown operators in the policy, as written. Conditions that use them
// are undetermined.
func (p *Policy) UnknownOperators() []string {
	var out []string
	for _, s := range p.statements {
		for _, c := range s.conditions {
			if c.operator.compare == nil && c.operator.name != null {
				out = append(out, c.operator.written)
			}
		}
	}
	return out
}

// parseHead returns the policy language version of the document.
func parseHead(fields object) (string, error) {
	version := version2008 // the default
	for _, field := range fields {
		switch field.name {
		case "Version":
			v, err := text(field.value)
			if err != nil {
				return "", at("Version", err)
			}
			if v != version2012 && v != version2008 {
				return "", at("Version", fmt.Errorf("%q is neither %q nor %q", v, version2012, version2008))
			}
			version = v
		case "Id":
			if _, err := text(field.value); err != nil {
				return "", at("Id", err)
			}
		case "Statement":
		default:
			return "", fmt.Errorf("unknown policy element %q", field.name)
		}
	}
	return version, nil
}

func parseStatements(body any, version string) (*Policy, error) {
	all, err := list(body)
	if err != nil {
		return nil, at("Statement", err)
	}
	p, sids := &Policy{}, map[string]bool{"": false}
	for i, one := range all {
		fields, err := members(one)
		if err != nil {
			return nil, at(title(i+1, ""), err)
		}
		s := statement{index: i + 1}
		if err := s.parseSid(fields); err != nil {
			return nil, at(title(i+1, "")+", Sid", err)
		}
		if sids[s.sid] {
			return nil, at(title(s.index, s.sid), errors.New("another statement has the same Sid"))
		}
		sids[s.sid] = s.sid != ""
		if err := s.parse(fields, version); err != nil {
			return nil, fmt.Errorf("%s, %w", title(s.index, s.sid), err)
		}
		p.statements = append(p.statements, s)
	}
	return p, nil
}

// at adds the position in the document to an error.
func at(place string, err error) error { return fmt.Errorf("%s: %w", place, err) }

var errMissing = errors.New("it is missing")

// title returns the name of a statement for messages.
func title(index int, sid string) string {
	if sid == "" {
		return fmt.Sprintf("statement %d", index)
	}
	return fmt.Sprintf("statement %d (%s)", index, sid)
}

// sidForm matches Sids accepted by IAM. A Sid must be unique unless it is empty.
var sidForm = lazyregexp.New(`^[0-9A-Za-z]*$`)

func (s *statement) parseSid(fields object) error {
	value, ok := fields.lookup("Sid")
	if !ok {
		return nil
	}
	sid, err := text(value)
	if err == nil && !sidForm.MatchString(sid) {
		err = fmt.Errorf("%q contains characters other than letters and digits", sid)
	}
	s.sid = sid
	return err
}

func (s *statement) parse(fields object, version string) error {
	if err := s.parseEffect(fields); err != nil {
		return err
	}
	for _, field := range fields {
		if err := s.parseElement(field, version); err != nil {
			return at(field.name, err)
		}
	}
	if s.principals == nil {
		return at("Principal", errMissing)
	}
	if s.actions.patterns == nil {
		return at("Action", errMissing)
	}
	return nil
}

func (s *statement) parseEffect(fields object) error {
	value, ok := fields.lookup("Effect")
	if !ok {
		return at("Effect", errMissing)
	}
	effect, err := text(value)
	if err == nil && effect != allow && effect != deny {
		err = fmt.Errorf("%q is neither Allow nor Deny", effect)
	}
	if err != nil {
		return at("Effect", err)
	}
	s.effect = effect
	return nil
}

func (s *statement) parseElement(field member, version string) (err error) {
	switch field.name {
	case "Sid", "Effect":
		return nil
	case "Principal":
		s.principals, err = parsePrincipals(field.value)
		return err
	case "Action", "NotAction":
		if s.actions.patterns != nil {
			return errors.New("a statement has Action or NotAction, not both")
		}
		s.actions, err = parseActions(field.name, field.value)
		return err
	case "Condition":
		s.conditions, err = parseConditions(field.value, version)
		return err
	case "NotPrincipal", "Resource", "NotResource":
		return errors.New("it is prohibited in a trust policy")
	default:
		return errors.New("it is unknown in a statement" + suggestion(field.name, elements()))
	}
}

func elements() []string {
	return []string{"Sid", "Effect", "Principal", "Action", "NotAction", "Condition"}
}

// suggestion returns a message suggesting the known word most similar to word, if any.
func suggestion(word string, known []string) string {
	best, least := "", 4 // suggest only if the distance is less than 4
	for _, candidate := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(candidate)); d < least && d < len(candidate)/2 {
			best, least = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// distance returns the number of bytes that must be inserted, deleted or replaced to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
