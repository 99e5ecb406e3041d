package irsatest

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"

	josejson "github.com/go-jose/go-jose/v4/json"
)

var (
	policyARN     = regexp.MustCompile(`^arn:([^:]+):iam::(aws|\d{12}):policy/.+$`)
	actionPattern = regexp.MustCompile(`^[A-Za-z0-9-]+:[^:]+$`)
)

// checkSessionPolicies rejects session policies that are malformed or too large. Managed policies
// must belong to AWS or to the role's account.
func (q query) checkSessionPolicies() *rejection {
	role := strings.Split(q.form.Get("RoleArn"), ":")
	for _, arn := range q.list("PolicyArns", ".arn") {
		found := policyARN.FindStringSubmatch(arn)
		switch {
		case found == nil:
			return invalid("ARN " + arn + " is not valid.")
		case found[1] != role[1] || found[2] != "aws" && found[2] != role[4]:
			return invalid("ARN "+arn+" is not valid.").withReason("the role is in the account %s of the partition %s", role[4], role[1])
		}
	}
	if q.form.Has("Policy") {
		if r := checkSessionPolicy(q.form.Get("Policy")); r != nil {
			return r
		}
	}
	return q.checkPackedSize(q.tags())
}

func checkSessionPolicy(document string) *rejection {
	if !json.Valid([]byte(document)) {
		return malformedPolicy("This policy contains invalid Json")
	}
	var policy struct {
		Version   string
		ID        string `json:"Id"`
		Statement statements
	}
	err := decodeStrictly([]byte(document), &policy)
	switch {
	case err != nil:
		return malformedPolicy("Syntax errors in policy.").withReason("%v", err)
	case policy.Version != "" && policy.Version != "2012-10-17" && policy.Version != "2008-10-17":
		return malformedPolicy("The policy must contain a valid version string")
	case len(policy.Statement) == 0:
		return malformedPolicy("Syntax errors in policy.").withReason("it has no Statement")
	}
	for _, s := range policy.Statement {
		if r := s.check(); r != nil {
			return r
		}
	}
	return nil
}

// statements are decoded from a single statement or an array of them.
type statements []sessionStatement

func (s *statements) UnmarshalJSON(b []byte) error {
	type plain statements // without UnmarshalJSON
	if bytes.HasPrefix(b, []byte("{")) {
		b = slices.Concat([]byte("["), b, []byte("]"))
	}
	return decodeStrictly(b, (*plain)(s))
}

// decodeStrictly is like json.Unmarshal, but rejects unknown and duplicate names and treats names as
// case-sensitive.
func decodeStrictly(document []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(reflect.New(reflect.TypeOf(v).Elem()).Interface()); err != nil {
		return err
	}
	return josejson.Unmarshal(document, v)
}

// A sessionStatement is a statement in a session policy. The kit does not evaluate it.
type sessionStatement struct {
	Sid, Effect             string
	Principal, NotPrincipal json.RawMessage
	Action, NotAction       policyValues
	Resource, NotResource   policyValues
	Condition               map[string]map[string]json.RawMessage
}

// policyValues are decoded from a string or a nonempty array of strings.
type policyValues []string

func (p *policyValues) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		b = slices.Concat([]byte("["), b, []byte("]"))
	}
	err := json.Unmarshal(b, (*[]string)(p))
	if err == nil && len(*p) == 0 {
		err = errors.New("an element is empty")
	}
	return err
}

// check rejects a statement that is not valid in a session policy. The messages are from public
// reports of IAM's responses.
func (s sessionStatement) check() *rejection {
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		return malformedPolicy("Syntax errors in policy.").withReason("the Effect %q is neither Allow nor Deny", s.Effect)
	case s.Principal != nil || s.NotPrincipal != nil:
		return malformedPolicy("Policy document should not specify a principal.")
	case s.Action == nil && s.NotAction == nil:
		return malformedPolicy("Policy statement must contain actions.")
	case s.Resource == nil && s.NotResource == nil:
		return malformedPolicy("Policy statement must contain resources.")
	}
	for _, action := range slices.Concat(s.Action, s.NotAction) {
		if action != "*" && !actionPattern.MatchString(action) {
			return malformedPolicy("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.").withReason("the action is %q", action)
		}
	}
	for _, resource := range slices.Concat(s.Resource, s.NotResource) {
		if resource != "*" && !strings.HasPrefix(resource, "arn:") {
			return malformedPolicy("Resource " + resource + ` must be in ARN format or "*".`)
		}
	}
	return nil
}
