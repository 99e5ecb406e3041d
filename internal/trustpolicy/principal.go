package trustpolicy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// principal is one whom a statement names ("AWS JSON policy elements: Principal").
type principal struct {
	written string
	form    form
	arn     arn // of an account, an identity and a provider that has one
}

// form is what a principal stands for.
type form int

const (
	everyone form = iota
	account       // all identities of it
	identity      // an IAM user, or a role and all its sessions
	session       // one session of a role
	provider      // web identities that it vouches for
	nobody        // of whom no request here can come
)

// arn is what the package needs of an Amazon Resource Name.
type arn struct {
	partition, service, account, resource string
}

var (
	arnForm     = regexp.MustCompile(`^arn:(aws(?:-[a-z]+)*):(iam|sts)::([0-9]{12}):([!-~]+)$`)
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	deletedForm = regexp.MustCompile(`^A(IDA|ROA)[A-Z0-9]{12,124}$`)
	serviceForm = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)

	identityForm  = regexp.MustCompile(`^(user|role)/([!-~]*/)?[\w+=,.@-]+$`)
	sessionForm   = regexp.MustCompile(`^assumed-role/[\w+=,.@-]+/[\w+=,.@-]+$`)
	federatedForm = regexp.MustCompile(`^federated-user/[\w+=,.@-]+$`)
	providerForm  = regexp.MustCompile(`^(oidc|saml)-provider/[!-~]+$`)
)

func parseARN(text string) (arn, bool) {
	parts := arnForm.FindStringSubmatch(text)
	if parts == nil {
		return arn{}, false
	}
	return arn{parts[1], parts[2], parts[3], parts[4]}, true
}

func parsePrincipals(value any, effect string) ([]principal, error) {
	if value == "*" {
		return []principal{{written: "*"}}, nil
	}
	types, err := members(value)
	if err != nil {
		return nil, err
	}
	if len(types) == 0 {
		return nil, errors.New("it names nobody")
	}
	var all []principal
	for _, t := range types {
		some, err := parseType(t, effect)
		if err != nil {
			return nil, at(t.name, err)
		}
		all = append(all, some...)
	}
	return all, nil
}

func parseType(m member, effect string) ([]principal, error) {
	all, err := texts(m.value)
	if err != nil {
		return nil, err
	}
	principals := make([]principal, len(all))
	for i, written := range all {
		if principals[i], err = parsePrincipal(m.name, written, effect); err != nil {
			return nil, err
		}
	}
	return principals, nil
}

func parsePrincipal(of, written, effect string) (principal, error) {
	if strings.ContainsAny(written, "*?") && (of != "AWS" || written != "*") {
		return principal{}, fmt.Errorf("%q: a principal has no wildcards", written)
	}
	switch of {
	case "AWS":
		return parseAWS(written, effect)
	case "Federated":
		return parseFederated(written)
	case "Service":
		if !serviceForm.MatchString(written) {
			return principal{}, fmt.Errorf("%q is not the name of a service", written)
		}
		return principal{written: written, form: nobody}, nil
	case "CanonicalUser":
		return principal{}, errors.New("it is not supported")
	default:
		return principal{}, errors.New("it is not a type of principal" + suggestion(of, []string{"AWS", "Federated", "Service"}))
	}
}

func parseAWS(written, effect string) (principal, error) {
	p := principal{written: written}
	switch {
	case written == "*":
		p.form = everyone
		return p, nil
	case accountForm.MatchString(written):
		p.form, p.arn = account, arn{account: written} // of any partition
		return p, nil
	case deletedForm.MatchString(written):
		// What IAM shows of a role or a user that was deleted.
		p.form = nobody
		if effect == deny { // nobody knows whom it might keep out
			return p, fmt.Errorf("%q: a unique ID in a Deny is not supported", written)
		}
		return p, nil
	}
	a, ok := parseARN(written)
	p.arn = a
	switch {
	case ok && a.service == "iam" && a.resource == "root":
		p.form = account
	case ok && a.service == "iam" && identityForm.MatchString(a.resource):
		p.form = identity
	case ok && a.service == "sts" && sessionForm.MatchString(a.resource):
		p.form = session
	case ok && a.service == "sts" && federatedForm.MatchString(a.resource):
		p.form = nobody // of GetFederationToken: STS lets none assume a role
	default:
		return p, fmt.Errorf("%q is neither an account nor the ARN of a user, a role or a session", written)
	}
	return p, nil
}

func parseFederated(written string) (principal, error) {
	p := principal{written: written, form: provider}
	switch written {
	case "cognito-identity.amazonaws.com", "accounts.google.com", "www.amazon.com", "graph.facebook.com":
		return p, nil
	}
	a, ok := parseARN(written)
	if !ok || a.service != "iam" || !providerForm.MatchString(a.resource) {
		return p, fmt.Errorf("%q is not the ARN of an identity provider", written)
	}
	p.arn = a
	return p, nil
}

// match says whether the principal stands for who asks.
//
// The documents count * as all identities of AWS and anonymous users; that it
// includes web identities, who must be trusted by their provider's name, they do
// not say. So it does in a Deny only.
func (p principal) match(r Principal, effect string) bool {
	if r.Federated != "" {
		return p.form == everyone && effect == deny || p.form == provider && p.written == r.Federated
	}
	switch p.form {
	case everyone:
		return true
	case account:
		a, _ := parseARN(r.ARN)
		return p.arn.account == a.account && (p.arn.partition == a.partition || p.arn.partition == "")
	case identity:
		return p.written == r.ARN
	case session:
		return p.written == r.Session
	default:
		return false
	}
}

// known says whether the request says who asks, and nothing that contradicts it.
func (r Principal) known() bool {
	if r.Federated != "" {
		return r.ARN == "" && r.Session == ""
	}
	a, ok := parseARN(r.ARN)
	if !ok || a.service != "iam" || a.resource != "root" && !identityForm.MatchString(a.resource) {
		return false
	}
	return r.Session == "" || a.hasSession(r.Session)
}

// hasSession says whether the session is one of the role.
func (a arn) hasSession(session string) bool {
	s, ok := parseARN(session)
	if !ok || s.service != "sts" || !sessionForm.MatchString(s.resource) || !strings.HasPrefix(a.resource, "role/") {
		return false
	}
	role := a.resource[strings.LastIndexByte(a.resource, '/')+1:]
	return s.partition == a.partition && s.account == a.account && strings.Split(s.resource, "/")[1] == role
}

// names returns whom the request names.
func (r Principal) names() []string {
	var all []string
	for _, name := range []string{r.Federated, r.ARN, r.Session} {
		if name != "" {
			all = append(all, name)
		}
	}
	return all
}

// matchAny says whether one of the principals stands for who asks.
func matchAny(all []principal, r Principal, effect string) bool {
	return r.known() && slices.ContainsFunc(all, func(p principal) bool { return p.match(r, effect) })
}
