package trustpolicy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxCharacters is twice IAM's highest quota for a trust policy, which is 4096 characters
	// excluding white space.
	maxCharacters = 8192

	// maxLength is the maximum length accepted by the IAM API, including white space.
	maxLength = 131072

	// maxDepth exceeds the depth of any trust policy, which has at most six levels.
	maxDepth = 10
)

// object is a JSON object that preserves the order of its members.
type object []member

type member struct {
	name  string
	value any // object, []any, string, json.Number, bool or nil
}

// lookup returns the value of the named member.
func (o object) lookup(name string) (any, bool) {
	i := slices.IndexFunc(o, func(m member) bool { return m.name == name })
	if i < 0 {
		return nil, false
	}
	return o[i].value, true
}

// readDocument parses a JSON document. It rejects objects with duplicate names.
func readDocument(document []byte) (any, error) {
	if err := checkText(document); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(document, new(json.RawMessage)); err != nil {
		return nil, notJSON(bytes.TrimSpace(document), err)
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	return readValue(decoder, maxDepth)
}

// errPercentEncoded is the error for a document as it is in responses of the IAM API.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html
var errPercentEncoded = errors.New("it is percent-encoded, as IAM returns it: decode it first")

// isPercentEncoded reports whether text begins with a percent-encoded brace.
func isPercentEncoded(text string) bool {
	const brace = "%7B"
	return len(text) >= len(brace) && strings.EqualFold(text[:len(brace)], brace)
}

// notJSON returns the error for a document that is not JSON.
func notJSON(document []byte, err error) error {
	const shown = 20
	switch {
	case len(document) == 0 || document[0] == '{' || document[0] == '[':
		return fmt.Errorf("it is not JSON: %w", err)
	case isPercentEncoded(string(document)):
		return errPercentEncoded
	default:
		return fmt.Errorf("it is not JSON: it begins with %q", document[:min(len(document), shown)])
	}
}

// checkText rejects a document that the IAM API would reject before parsing the JSON.
func checkText(document []byte) error {
	if len(document) > maxLength {
		return fmt.Errorf("it is longer than %d bytes", maxLength)
	}
	if !utf8.Valid(document) {
		return errors.New("it is not UTF-8")
	}
	characters := 0
	for _, r := range string(document) {
		if r > 0xFF {
			return fmt.Errorf("it contains %q: IAM accepts only Latin-1 characters", r)
		}
		if !unicode.IsSpace(r) {
			characters++
		}
	}
	if characters > maxCharacters {
		return fmt.Errorf("it is longer than %d characters without white space", maxCharacters)
	}
	return nil
}

func readValue(decoder *json.Decoder, depth int) (any, error) {
	if depth == 0 {
		return nil, errors.New("it is nested too deeply")
	}
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return readObject(decoder, depth)
		}
		return readArray(decoder, depth)
	case string:
		return t, checkString(t)
	default:
		return t, nil
	}
}

func readObject(decoder *json.Decoder, depth int) (object, error) {
	o := object{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name := token.(string) // a string, because the JSON is valid
		if err := checkString(name); err != nil {
			return nil, err
		}
		if _, twice := o.lookup(name); twice {
			return nil, fmt.Errorf("duplicate name %q in an object", name)
		}
		value, err := readValue(decoder, depth-1)
		if err != nil {
			return nil, err
		}
		o = append(o, member{name, value})
	}
	_, err := decoder.Token()
	return o, err
}

func readArray(decoder *json.Decoder, depth int) ([]any, error) {
	array := []any{}
	for decoder.More() {
		value, err := readValue(decoder, depth-1)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	_, err := decoder.Token()
	return array, err
}

// checkString rejects unpaired surrogates. Because encoding/json replaces them, different strings
// would become equal.
func checkString(s string) error {
	if strings.ContainsRune(s, utf8.RuneError) {
		return fmt.Errorf("%q contains an unpaired surrogate", s)
	}
	return nil
}

// text returns value if it is a string.
func text(value any) (string, error) {
	s, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("it is %s, not a string", kind(value))
	}
	return s, nil
}

// list returns the elements of an array. Any other value counts as an array with one element.
func list(value any) ([]any, error) {
	array, ok := value.([]any)
	if !ok {
		return []any{value}, nil
	}
	if len(array) == 0 {
		return nil, errors.New("the array is empty")
	}
	return array, nil
}

// texts returns the strings in an array. A string counts as an array with one element.
func texts(value any) ([]string, error) {
	elements, err := list(value)
	if err != nil {
		return nil, err
	}
	all := make([]string, len(elements))
	for i, element := range elements {
		if all[i], err = text(element); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// members returns value if it is an object.
func members(value any) (object, error) {
	o, ok := value.(object)
	if !ok {
		return nil, fmt.Errorf("it is %s, not an object", kind(value))
	}
	return o, nil
}

// kind names the type of a JSON value.
func kind(value any) string {
	switch value.(type) {
	case object:
		return "an object"
	case []any:
		return "an array"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case bool:
		return "true or false"
	default:
		return "null"
	}
}
