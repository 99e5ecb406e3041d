package trustpolicy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// stranger is a request that a trust policy for one service account should not allow.
type stranger struct {
	request Request
	who     string
	how     string   // how to tighten the statement that allows it
	within  []string // broader findings that already include this one
	note    bool
}

// other is a name that is unlikely to occur in a policy.
const other = "irsakit-stranger"

// strangers returns requests that a policy for w should not allow, broadest first.
func (p *Policy) strangers(w WebIdentity) []stranger {
	issuer := w.issuer()
	all := slices.Concat(p.subjects(w, issuer), w.withoutClaims(issuer))
	for _, provider := range p.providers() {
		if provider != w.Provider {
			all = append(all, p.ofProvider(w, provider)...)
		}
	}
	for i := range all {
		all[i].within = append(all[i].within, anyAccount)
	}
	all = slices.Insert(all, 0, p.awsPrincipals()...)
	action := w.Request()
	action.Action = "sts:" + strings.ReplaceAll(other, "-", "")
	anything := awsPrincipal(strangersRole).request
	anything.Action = action.Action
	for _, r := range []Request{action, anything} {
		all = append(all, stranger{request: r, who: anyAction, how: "allow only the actions it needs, such as " + actionWebIdentity, within: []string{anyAction}})
	}
	return all
}

const (
	anyAction          = "every action of STS"
	anyAccount         = "every AWS account"
	anyToken           = "every token of "
	anyServiceAccount  = "every service account of the cluster"
	anyAudience        = "tokens for every audience"
	noSubject          = "tokens without a subject"
	noAudience         = "tokens without an audience"
	strangersAccountID = "000000000000"
	strangersAccount   = "arn:aws:iam::" + strangersAccountID
	strangersRole      = strangersAccount + ":role/" + other
	strangersUser      = strangersAccount + ":user/" + other
)

// awsPrincipals returns AWS principals of an account that is not named in any policy: a role and a user
// with arbitrary names, a role of an account outside any organization, and roles and users whose names
// match the patterns in the policy. An account's owner can create them.
func (p *Policy) awsPrincipals() []stranger {
	user, alone := awsPrincipal(strangersUser), awsPrincipal(strangersRole)
	user.within, alone.within = []string{anyAccount}, []string{anyAccount}
	const organization = "aws:PrincipalOrgID"
	alone.who, alone.how = "AWS accounts outside any organization", failIfAbsent(organization)
	delete(alone.request.Context, organization)
	all := []stranger{awsPrincipal(strangersRole), user, alone}
	for _, pattern := range p.allowedValues("aws:PrincipalArn") {
		all = append(all, identitiesLike(pattern)...)
	}
	return all
}

// allowedValues returns the values of a condition key in all Allow statements.
func (p *Policy) allowedValues(key string) (all []string) {
	for _, s := range p.statements {
		for _, c := range s.conditions {
			if s.effect != allow || !strings.EqualFold(c.key, key) {
				continue
			}
			for _, v := range c.values {
				all = append(all, v.written)
			}
		}
	}
	return all
}

// identitiesLike returns roles and users that match an ARN pattern, in an account that is not named in
// any policy.
func identitiesLike(pattern string) (all []stranger) {
	within := []string{anyAccount}
	for _, kind := range []string{"role", "user"} {
		who := kind + "s like " + pattern + " of every AWS account"
		within = append(within, who)
		for _, written := range beginning(strangersAccount+":"+kind+"/", pattern) {
			if a, ok := parseARN(written); ok && identityForm.MatchString(a.resource) {
				named := awsPrincipal(written)
				named.who, named.within = who, within
				all = append(all, named)
			}
		}
	}
	return all
}

// beginning returns strings that begin with start and, if the pattern allows that, match it.
func beginning(start, written string) []string {
	symbols, n := wild(written), len(start)
	reached := make([]bool, n+1) // by length, the beginnings of start that match the symbols so far
	reached[0] = true
	var last, star pattern // what is left after the last symbol, and from the last *, that ends a match of start
	for i, s := range symbols {
		next := make([]bool, n+1)
		for at := range next {
			if s.wildcard == '*' {
				next[at] = reached[at] || at > 0 && next[at-1]
			} else {
				next[at] = at > 0 && reached[at-1] && s.fits(rune(start[at-1]))
			}
		}
		reached = next
		switch {
		case reached[n] && s.wildcard == '*':
			last, star = symbols[i:], symbols[i:]
		case reached[n]:
			last = symbols[i+1:]
		}
	}
	return slices.Compact([]string{start + last.filled(), start + star.filled()})
}

// awsPrincipal returns a role session or an IAM user. The account's owner chooses the tags and request
// parameters, so they are unknown.
func awsPrincipal(written string) stranger {
	r := Request{
		Action:    actionAssumeRole,
		Principal: Principal{ARN: written},
		Context: map[string][]string{
			"aws:PrincipalArn":     {written},
			"aws:PrincipalAccount": {strangersAccountID},
			"aws:PrincipalOrgID":   {"o-" + other},
			"aws:PrincipalType":    {"User"},
		},
		Unknown: func(key string) bool {
			return reserved(key) && (!strings.HasPrefix(key, "aws:principal") || strings.HasPrefix(key, "aws:principaltag/"))
		},
	}
	if strings.HasPrefix(written, strangersAccount+":role/") {
		name := written[strings.LastIndex(written, "/")+1:]
		r.Principal.Session = "arn:aws:sts::" + strangersAccountID + ":assumed-role/" + name + "/" + other
		r.Context["aws:PrincipalType"] = []string{"AssumedRole"}
	}
	return stranger{request: r, who: anyAccount, how: "name the accounts or roles that may assume the role"}
}

// serviceAccountsLike returns service accounts that match the patterns in the policy, in namespaces
// that the patterns do not name.
func (p *Policy) serviceAccountsLike(w WebIdentity) (all []stranger) {
	key, subject := w.issuer()+":sub", w.Subject
	namespace, name, _ := w.serviceAccount()
	for _, pattern := range p.allowedValues(key) {
		one := stranger{who: "service accounts like " + pattern, how: requireSubject(w.issuer(), subject)}
		one.within = []string{anyToken + w.issuer(), anyServiceAccount, ofEveryNamespace(name), one.who}
		for _, w.Subject = range subjectsLike(pattern) {
			elsewhere, account, ok := w.serviceAccount()
			if ok && elsewhere != namespace && !strings.Contains(account, ":") && !strings.Contains(pattern, ":"+elsewhere+":") {
				one.request = w.Request()
				all = append(all, one)
			}
		}
	}
	return all
}

// subjectsLike returns strings that match a pattern. Some of them may be subjects of service accounts.
func subjectsLike(pattern string) (all []string) {
	start := ""
	if before, _, _ := strings.Cut(pattern, "*"); strings.HasPrefix(subjectPrefix, before) {
		start = subjectPrefix[len(before):]
	}
	for i, filled := range []string{other, other + ":" + other} {
		for _, first := range []string{start + filled, strings.TrimSuffix(start, ":")} {
			all = append(all, strings.NewReplacer("*", filled, "?", strconv.Itoa(i)).Replace(strings.Replace(pattern, "*", first, 1)))
		}
	}
	return all
}

// subjects returns strangers with a different subject or audience.
func (p *Policy) subjects(w WebIdentity, issuer string) []stranger {
	require := requireSubject(issuer, w.Subject)
	with := func(subject string) Request {
		changed := w
		changed.Subject = subject
		return changed.Request()
	}
	token := anyToken + issuer
	all := []stranger{{request: with(other), who: token, how: require}}
	if namespace, name, ok := w.serviceAccount(); ok {
		all = append(all,
			stranger{request: with(subjectPrefix + other + ":" + other), who: anyServiceAccount, how: require, within: []string{token}},
			stranger{request: with(subjectPrefix + other + ":" + name), who: ofEveryNamespace(name), how: require, within: []string{token, anyServiceAccount}},
		)
		all = append(append(all, p.serviceAccountsLike(w)...), stranger{
			request: with(subjectPrefix + namespace + ":" + other), who: "every service account of the namespace " + namespace,
			how: require, within: []string{token, anyServiceAccount}, note: true,
		})
	}
	changed := w
	changed.Audiences = []string{other}
	return append(all, stranger{
		request: changed.Request(), who: anyAudience, how: fmt.Sprintf("require StringEquals on %q to be %q", issuer+":aud", w.audience()),
	})
}

// requireSubject returns advice on how to limit a statement to a subject.
func requireSubject(issuer, subject string) string {
	return fmt.Sprintf("require StringEquals on %q to be %q", issuer+":sub", subject)
}

func ofEveryNamespace(name string) string {
	return "the service account " + name + " of every namespace"
}

// audience returns the audience to require: STS if the token has that audience or none, and otherwise
// the token's first audience.
func (w WebIdentity) audience() string {
	if len(w.Audiences) == 0 || slices.Contains(w.Audiences, audience) {
		return audience
	}
	return w.Audiences[0]
}

// serviceAccount returns the namespace and name in the subject.
func (w WebIdentity) serviceAccount() (namespace, name string, ok bool) {
	rest, found := strings.CutPrefix(w.Subject, subjectPrefix)
	namespace, name, ok = strings.Cut(rest, ":")
	return namespace, name, found && ok
}

// withoutClaims returns strangers whose tokens lack a claim.
func (w WebIdentity) withoutClaims(issuer string) []stranger {
	withoutSubject, withoutAudience := w, w
	withoutSubject.Subject, withoutAudience.Audiences = "", nil
	return []stranger{
		{request: withoutSubject.Request(), who: noSubject, how: failIfAbsent(issuer + ":sub"), within: []string{anyToken + issuer}},
		{request: withoutAudience.Request(), who: noAudience, how: failIfAbsent(issuer + ":aud"), within: []string{anyAudience}},
	}
}

// failIfAbsent returns advice on how to keep requests without a key from a statement.
func failIfAbsent(key string) string {
	return fmt.Sprintf("use a condition on %q that fails if the key is absent (without IfExists, ForAllValues or a negated operator)", key)
}

// ofProvider returns strangers with a token from another provider.
func (p *Policy) ofProvider(w WebIdentity, provider string) []stranger {
	issuer := provider
	if a, ok := parseARN(provider); ok {
		issuer = a.issuer()
	}
	w.Provider, w.Issuer = provider, issuer
	alike := append(p.serviceAccountsLike(w), p.ownersLike(w)...)
	w.Subject = other
	return append([]stranger{{request: w.Request(), who: anyToken + issuer, how: fmt.Sprintf("require a condition on %q", issuer+":sub")}}, alike...)
}

// providers returns the OIDC providers in the policy, sorted.
func (p *Policy) providers() []string {
	all := map[string]bool{}
	for _, s := range p.statements {
		for _, one := range s.principals {
			if one.form == provider && !strings.HasPrefix(one.arn.resource, "saml-provider/") {
				all[one.written] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}
