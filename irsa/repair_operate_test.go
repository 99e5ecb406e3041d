package irsa_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// denial is a policy that denies a request. The kit evaluates only trust policies, which are
// resource-based policies of roles.
type denial struct {
	policy   string         // such as "session policy"
	action   string         // the denied action
	explicit bool           // whether it is by a Deny statement
	role     *irsatest.Role // the requested role
	caller   *irsatest.Role // the role that made the request; nil for a web identity

	statement denyStatement // what an explicit denial denies
}

// deny makes a policy deny the requests for a role.
func (s *site) deny(d denial) {
	ending := "no " + d.policy
	if d.explicit {
		ending = "an explicit deny in " + article(d.policy) + d.policy
		d.statement = s.denyStatement(d)
	}
	if d.policy == "resource-based policy" && d.explicit { // the kit evaluates this policy, and has no ending for it
		s.addStatement(d.role, d.statement.json(s.T))
	} else if d.policy == "resource-based policy" {
		s.disallow(d.role, d.action)
	}
	s.denial = &d
	d.role.Fail(irsatest.Denied(d.action, ending), -1)
}

// hasOwner reports whether a type of policy belongs to a role.
func hasOwner(policy string) bool {
	return slices.Contains([]string{"identity-based policy", "session policy", "permissions boundary"}, policy)
}

// matches reports whether a change is to the policy that denies the requests.
func (d *denial) matches(policy, owner string, explicit bool) bool {
	return d != nil && d.policy == policy && d.explicit == explicit && (!hasOwner(policy) || owner == d.caller.ARN())
}

// allow adds a statement to a policy.
func (s *site) allow(policy, owner, statement string) {
	if policy == "trust policy" { // the resource-based policy of a role
		if r := s.roles[owner]; r != nil {
			s.addStatement(r, statement)
		}
		policy = "resource-based policy"
	}
	var added struct {
		Effect    string
		Action    actionList
		Principal any
		Resource  string
	}
	if json.Unmarshal([]byte(statement), &added) != nil || !s.denial.matches(policy, owner, false) {
		return
	}
	d := s.denial
	exact := added.Effect == "Allow" && slices.Equal(added.Action, actionList{d.action}) && added.Resource == d.role.ARN() && s.names(added.Principal)
	if exact || policy == "resource-based policy" && owner == d.role.ARN() {
		d.role.Recover()
	}
}

// actionList contains the actions of a statement. In JSON, it is a string or a list.
type actionList []string

func (a *actionList) UnmarshalJSON(text []byte) error {
	if !strings.HasPrefix(string(text), "[") {
		text = slices.Concat([]byte("["), text, []byte("]"))
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// names reports whether a principal is the principal that the denying policy needs.
func (s *site) names(principal any) bool {
	switch d := s.denial; {
	case d.policy != "VPC endpoint policy":
		return principal == nil
	case d.caller == nil:
		return principal == "*"
	default:
		named, _ := principal.(map[string]any)
		return named["AWS"] == d.caller.ARN()
	}
}

func (s *site) setenv(name, value string) {
	s.environ[name] = value
	s.restart()
}

func (s *site) option(name, value string) {
	switch name {
	case "Duration":
		d, err := time.ParseDuration(value)
		require.NoError(s, err)
		s.duration, s.chain.Duration = min(s.duration, d), min(s.chain.Duration, d)
	case "Policy":
		s.policy = value
	}
	s.restart()
}

func (s *site) run(command []string, account string) {
	flag := func(name string) string {
		if i := slices.Index(command, name); i >= 0 && i+1 < len(command) {
			return command[i+1]
		}
		return ""
	}
	switch strings.Join(command[:min(3, len(command))], " ") {
	case "aws iam create-open-id-connect-provider":
		if flag("--url") == s.kit.Issuer.URL() && account != "" {
			s.kit.RegisterIssuer(account, s.kit.Issuer, flag("--client-id-list"))
		}
	case "aws iam add-client-id-to-open-id-connect-provider":
		if flag("--open-id-connect-provider-arn") == providerARN(s.first, s.kit.Issuer) {
			s.kit.RegisterIssuer(accountOf(s.first), s.kit.Issuer, "vault", flag("--client-id"))
		}
	case "aws iam update-open-id-connect-provider-thumbprint":
		if regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(flag("--thumbprint-list")) {
			s.kit.STS.Recover()
		}
	case "aws iam update-role":
		s.raiseDuration(flag("--role-name"), flag("--max-session-duration"))
	case "chronyc makestep":
		s.kit.STS.SetClockSkew(0)
		s.apiServerAhead = 0
	case "kubectl annotate --overwrite":
		key, value, _ := strings.Cut(command[5], "=")
		if command[4] == s.name && flag("--namespace") == s.namespace {
			s.annotations[key] = value
		}
	case "kubectl delete pod":
		if command[3] == s.pod.Name() && flag("--namespace") == s.namespace {
			s.createPod()
		}
	case "kubectl create token":
		if command[3] == s.name && flag("--namespace") == s.namespace {
			s.createToken(irsatest.Claim("aud", flag("--audience")))
		}
	default:
		require.Fail(s, "an unknown command", "%q", command)
	}
}

// raiseDuration raises the maximum session duration of the pod's role.
func (s *site) raiseDuration(name, seconds string) {
	longest, err := time.ParseDuration(seconds + "s")
	require.NoError(s, err)
	_, path, _ := strings.Cut(s.first.ARN(), ":role/")
	if !strings.HasSuffix("/"+path, "/"+name) {
		return
	}
	document := s.first.TrustPolicy()
	s.first = s.role(path, irsatest.MaxSessionDuration(longest))
	s.first.SetTrustPolicy(document)
}
