package irsatest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A constraint limits the value of a parameter, as documented in the STS API reference.
type constraint struct {
	required             bool
	minLength, maxLength int            // characters
	pattern              *regexp.Regexp // if nil, any
}

var (
	namePattern       = regexp.MustCompile(`^[\w+=,.@-]*$`)
	externalIDPattern = regexp.MustCompile(`^[\w+=,.@:\/-]*$`)
	tagKeyPattern     = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]+$`)
	tagValuePattern   = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
)

// constraintsOf returns the constraints for an action that creates sessions, and the names of its
// parameters in the order in which AWS reports violations.
// https://docs.aws.amazon.com/STS/latest/APIReference/
func constraintsOf(action string) (names []string, of map[string]constraint) {
	of = map[string]constraint{
		"RoleArn":         {required: true, minLength: 20, maxLength: 2048},
		"RoleSessionName": {required: true, minLength: 2, maxLength: 64, pattern: namePattern},
		"Policy":          {minLength: 1, maxLength: 2048},
	}
	switch action {
	case assumeRoleWithWebIdentity:
		of["WebIdentityToken"] = constraint{required: true, minLength: 4, maxLength: 20000}
		return []string{"RoleArn", "RoleSessionName", "WebIdentityToken", "Policy"}, of
	default:
		of["ExternalId"] = constraint{minLength: 2, maxLength: 1224, pattern: externalIDPattern}
		of["SourceIdentity"] = constraint{minLength: 2, maxLength: 64, pattern: namePattern}
		return []string{"RoleArn", "RoleSessionName", "Policy", "ExternalId", "SourceIdentity"}, of
	}
}

// checkParameters rejects parameters that violate their constraints. It reports all
// violations at once, as AWS does.
func (q query) checkParameters() *rejection {
	var v violations
	names, constraints := constraintsOf(q.action)
	for _, name := range names {
		v.check(q, name, constraints[name])
	}
	if q.form.Has("DurationSeconds") {
		switch n, err := strconv.Atoi(q.form.Get("DurationSeconds")); {
		case err != nil:
			v.add(q, "DurationSeconds", "be a number")
		case n < 900:
			v.add(q, "DurationSeconds", "have value greater than or equal to 900")
		case n > 43200:
			v.add(q, "DurationSeconds", "have value less than or equal to 43200")
		}
	}
	v.checkTags(q)
	if n := len(q.list("PolicyArns", ".arn")); n > 10 {
		v.add(q, "PolicyArns", "have length less than or equal to 10")
	}
	if r := v.rejection(); r != nil {
		return r
	}
	if fields := strings.SplitN(q.form.Get("RoleArn"), ":", 6); len(fields) != 6 || fields[0] != "arn" {
		return invalid("Request ARN is invalid")
	}
	if r := q.checkTagKeys(); r != nil {
		return r
	}
	return q.checkSessionPolicies()
}

// checkTagKeys rejects tag keys reserved by IAM, and keys that differ only in case.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_know
func (q query) checkTagKeys() *rejection {
	seen := map[string]bool{}
	for _, key := range q.list("Tags", ".Key") {
		lower := strings.ToLower(key)
		switch {
		case strings.HasPrefix(lower, "aws:"): // the message is the kit's own
			return invalid("The tag key " + key + " has the reserved prefix aws:.")
		case seen[lower]: // IAM's message for its own tags
			return invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		seen[lower] = true
	}
	return nil
}

// check adds a parameter's violations.
func (v *violations) check(q query, key string, c constraint) {
	value := q.form.Get(key)
	switch n := utf8.RuneCountInString(value); {
	case !q.form.Has(key):
		if c.required {
			v.add(q, key, "not be null")
		}
	case n < c.minLength:
		v.add(q, key, fmt.Sprintf("have length greater than or equal to %d", c.minLength))
	case n > c.maxLength:
		v.add(q, key, fmt.Sprintf("have length less than or equal to %d", c.maxLength))
	}
	if c.pattern != nil && !c.pattern.MatchString(value) {
		v.add(q, key, "satisfy regular expression pattern: "+strings.Trim(c.pattern.String(), "^$"))
	}
}

// checkTags adds violations for too many tags, and for tag keys and values that are too long or
// contain characters not allowed by IAM.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_Tag.html
func (v *violations) checkTags(q query) {
	keys := q.list("Tags", ".Key")
	if len(keys) > 50 {
		v.add(q, "Tags", "have length less than or equal to 50")
	}
	for n := range keys {
		member := "Tags.member." + strconv.Itoa(n+1)
		v.check(q, member+".Key", constraint{required: true, minLength: 1, maxLength: 128, pattern: tagKeyPattern})
		v.check(q, member+".Value", constraint{required: true, maxLength: 256, pattern: tagValuePattern})
	}
}

// add adds a violation of a parameter that must satisfy a constraint.
func (v *violations) add(q query, key, must string) {
	shown := "'" + q.form.Get(key) + "'"
	switch {
	case !q.form.Has(key):
		shown = "null"
	case key == "WebIdentityToken":
		shown = "'***'"
	}
	parameter := strings.ToLower(key[:1]) + key[1:]
	*v = append(*v, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: Member must %s", shown, parameter, must))
}

// packedSize returns the sizes of the session policies, the session tags, and both together, as
// percentages of STS's limit. AWS does not document how it packs them, so these are estimates based
// on their unpacked lengths.
func (q query) packedSize(tags map[string][]string) (policies, tagged, both int) {
	size := len(q.form.Get("Policy"))
	for _, arn := range q.list("PolicyArns", ".arn") {
		size += len(arn)
	}
	tagSize := 0
	for key, values := range tags {
		tagSize += len(key) + len(strings.Join(values, ""))
	}
	percent := func(size int) int { return (size*100 + 2047) / 2048 } // rounded up
	return percent(size), percent(tagSize), percent(size + tagSize)
}

// checkPackedSize rejects session policies and tags that are too large in total, including inherited
// tags. The message describes the larger of the two.
func (q query) checkPackedSize(tags map[string][]string) *rejection {
	policies, tagged, both := q.packedSize(tags)
	switch {
	case both <= 100:
		return nil
	case tagged > policies:
		return packedTagsTooLarge(both)
	default:
		return packedPolicyTooLarge(both)
	}
}
