package irsa_test

import (
	"encoding/json"
	"regexp"
	"strings"
)

// operator makes the changes that advice can recommend.
type operator interface {
	setenv(name, value string)             // an empty value unsets the variable
	option(name, value string)             // a field of irsa.Options or of AssumeRole's options
	allow(policy, owner, statement string) // adds a statement to a policy; owner is the ARN of its role
	exempt(policy, owner string, e exception)
	run(command []string, account string) // account is the account that the advice names
}

// remedy is one change.
type remedy func(operator)

var (
	remedyForm = regexp.MustCompile(`(?i:unset) (AWS_\w+(?: and AWS_\w+)*)` + // 1: variables
		`|\b(AWS_\w+)=(\S+)` + // 2, 3: a variable and its value
		`|\b(?:AssumeRole)?Options\.(\w+)=` + // 4: an option
		`|\b(aws iam [a-z-]+(?: --[a-z-]+ \S+)+|kubectl (?:annotate --overwrite serviceaccount \S+ \S+=\S+|delete pod \S+|create token \S+ --audience \S+) --namespace \S+|chronyc makestep)` + // 5: a command
		`|\{"`) // a statement or an exception

	// policyForm matches the name of a policy. Its second group is the policy's role.
	policyForm  = regexp.MustCompile(`(trust policy|resource-based policy|identity-based policy|session policy|permissions boundary|VPC endpoint policy|service control policy|resource control policy)(?: of (arn:\S*[^\s,.;:)]))?`)
	accountForm = regexp.MustCompile(`account \((\d{12})\)`)
)

// remedies returns the changes that the text of an advice recommends, in order. The text is all that
// remedies knows about the failure.
func remedies(advice string) []remedy {
	var all []remedy
	for at := 0; ; {
		match := remedyForm.FindStringSubmatchIndex(advice[at:])
		if match == nil {
			return all
		}
		group := func(n int) string {
			if match[2*n] < 0 {
				return ""
			}
			return strings.TrimRight(advice[at+match[2*n]:at+match[2*n+1]], ".,;:)")
		}
		begin, end := at+match[0], at+match[1]
		switch {
		case group(1) != "":
			all = append(all, unset(strings.Split(group(1), " and ")))
		case group(2) != "":
			name, value := group(2), group(3)
			all = append(all, func(o operator) { o.setenv(name, value) })
		case group(4) != "":
			name := group(4)
			value := valueAt(advice[end:])
			end += len(value)
			all = append(all, func(o operator) { o.option(name, strings.TrimRight(value, ".,;:)")) })
		case group(5) != "":
			command, account := strings.Fields(group(5)), ""
			if found := accountForm.FindStringSubmatch(advice); found != nil {
				account = found[1]
			}
			all = append(all, func(o operator) { o.run(command, account) })
		default:
			element := valueAt(advice[begin:])
			end = begin + len(element)
			all = append(all, change(advice[:begin], element, advice[end:]))
		}
		at = end
	}
}

func unset(names []string) remedy {
	return func(o operator) {
		for _, name := range names {
			o.setenv(name, "")
		}
	}
}

// change returns the change to a policy. The policy is the last one named in the text before the
// element.
func change(before, element, after string) remedy {
	policy, owner := "", ""
	for _, match := range policyForm.FindAllStringSubmatch(before, -1) {
		policy = match[1]
		if match[2] != "" {
			owner = match[2]
		}
	}
	if policy == "resource-based policy" { // a role's resource-based policy is its trust policy
		policy = "trust policy"
	}
	return func(o operator) {
		if strings.HasPrefix(element, `{"Effect"`) {
			o.allow(policy, owner, element)
		} else {
			o.exempt(policy, owner, exceptionIn(before, element, after))
		}
	}
}

// valueAt returns the JSON value or word at the beginning of a text.
func valueAt(text string) string {
	if decoder := json.NewDecoder(strings.NewReader(text)); strings.HasPrefix(text, "{") {
		var value json.RawMessage
		if decoder.Decode(&value) == nil {
			return text[:decoder.InputOffset()]
		}
	}
	word, _, _ := strings.Cut(text, " ")
	return word
}
