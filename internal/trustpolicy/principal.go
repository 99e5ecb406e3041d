package trustpolicy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/irsakit/irsakit/internal/lazyregexp"
)

// principal is a principal in a statement ("AWS JSON policy elements: Principal").
type principal struct {
	written string
	form    form
	arn     arn // set for accounts, identities, and providers that have an ARN
}

// form is the kind of principal.
type form int

const (
	everyone    form = iota
	account          // all identities of an account
	identity         // an IAM user, or a role with all its sessions
	session          // a single role session
	provider         // web identities of a provider
	deleted          // the unique ID that IAM shows for a deleted role or user
	unmatchable      // never matches a request
)

// arn contains the parts of an Amazon Resource Name used by this package.
type arn struct {
	partition, service, account, resource string
}

var (
	arnForm     = lazyregexp.New(`^arn:(aws(?:-[a-z]+)*):(iam|sts)::([0-9]{12}):([!-~]+)$`)
	accountForm = lazyregexp.New(`^[0-9]{12}$`)
	deletedForm = lazyregexp.New(`^A(IDA|ROA)[A-Z0-9]{12,124}$`)
	serviceForm = lazyregexp.New(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)

	identityForm  = lazyregexp.New(`^(user|role)/([!-~]*/)?[\w+=,.@-]+$`)
	sessionForm   = lazyregexp.New(`^assumed-role/[\w+=,.@-]+/[\w+=,.@-]+$`)
	federatedForm = lazyregexp.New(`^federated-user/[\w+=,.@-]+$`)
	providerForm  = lazyregexp.New(`^(oidc|saml)-provider/[!-~]+$`)
)

func parseARN(text string) (arn, bool) {
	parts := arnForm.FindStringSubmatch(text)
	if parts == nil {
		return arn{}, false
	}
	return arn{parts[1], parts[2], parts[3], parts[4]}, true
}

func parsePrincipals(value any) ([]principal, error) {
	if value == "*" {
		return []principal{{written: "*"}}, nil
	}
	types, err := members(value)
	if err != nil {
		return nil, err
	}
	if len(types) == 0 {
		return nil, errors.New("it names no principal")
	}
	var all []principal
	for _, t := range types {
		some, err := parseType(t)
		if err != nil {
			return nil, at(t.name, err)
		}
		all = append(all, some...)
	}
	return all, nil
}

func parseType(m member) ([]principal, error) {
	all, err := texts(m.value)
	if err != nil {
		return nil, err
	}
	principals := make([]principal, len(all))
	for i, written := range all {
		if principals[i], err = parsePrincipal(m.name, written); err != nil {
			return nil, err
		}
	}
	return principals, nil
}

func parsePrincipal(of, written string) (principal, error) {
	if strings.ContainsAny(written, "*?") && (of != "AWS" || written != "*") {
		return principal{}, fmt.Errorf("%q: wildcards are not allowed in a principal", written)
	}
	switch of {
	case "AWS":
		return parseAWS(written)
	case "Federated":
		return parseFederated(written)
	case "Service":
		if !serviceForm.MatchString(written) {
			return principal{}, fmt.Errorf("%q is not the name of a service", written)
		}
		return principal{written: written, form: unmatchable}, nil
	case "CanonicalUser":
		return principal{}, ErrUnsupported
	default:
		return principal{}, errors.New("it is not a type of principal" + suggestion(of, []string{"AWS", "Federated", "Service"}))
	}
}

func parseAWS(written string) (principal, error) {
	p := principal{written: written}
	switch {
	case written == "*":
		p.form = everyone
		return p, nil
	case accountForm.MatchString(written):
		p.form, p.arn = account, arn{account: written} // in any partition
		return p, nil
	case deletedForm.MatchString(written):
		p.form = deleted
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
		p.form = unmatchable // from GetFederationToken; STS does not let federated users assume a role
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

// match determines whether the principal includes r.
//
// According to IAM's documentation, * includes all AWS identities and anonymous users. In a Deny, it
// also includes web identities, as shown by AWS's examples of resource control policies. For an
// Allow, the documentation leaves this open, because it names web identities by their provider.
func (p principal) match(r Principal, effect string) verdict {
	if r.Federated != "" {
		switch {
		case p.form == everyone && effect == allow:
			return unknown
		case p.form == everyone:
			return yes
		}
		return verdictOf(p.form == provider && p.written == r.Federated)
	}
	switch p.form {
	case everyone:
		return yes
	case deleted:
		if effect == deny { // IAM's documentation does not rule out that the ID is reused
			return unknown
		}
		return no
	case account:
		a, _ := parseARN(r.ARN)
		return verdictOf(p.arn.account == a.account && (p.arn.partition == a.partition || p.arn.partition == ""))
	case identity:
		return verdictOf(p.written == r.ARN)
	case session:
		return verdictOf(p.written == r.Session)
	default:
		return no
	}
}

// valid reports whether r identifies exactly one principal.
func (r Principal) valid() bool {
	if r.Federated != "" {
		return r.ARN == "" && r.Session == ""
	}
	a, ok := parseARN(r.ARN)
	if !ok || a.service != "iam" || a.resource != "root" && !identityForm.MatchString(a.resource) {
		return false
	}
	return r.Session == "" || a.hasSession(r.Session)
}

// hasSession reports whether session is the ARN of a session of role a.
func (a arn) hasSession(session string) bool {
	s, ok := parseARN(session)
	if !ok || s.service != "sts" || !sessionForm.MatchString(s.resource) || !strings.HasPrefix(a.resource, "role/") {
		return false
	}
	role := a.resource[strings.LastIndexByte(a.resource, '/')+1:]
	return s.partition == a.partition && s.account == a.account && strings.Split(s.resource, "/")[1] == role
}

// names returns the nonempty names of the principal.
func (r Principal) names() []string {
	var all []string
	for _, name := range []string{r.Federated, r.ARN, r.Session} {
		if name != "" {
			all = append(all, name)
		}
	}
	return all
}

// matchAny determines whether any of the principals includes r.
func matchAny(all []principal, r Principal, effect string) verdict {
	v := no
	if r.valid() {
		for _, p := range all {
			v = max(v, p.match(r, effect))
		}
	}
	return v
}
