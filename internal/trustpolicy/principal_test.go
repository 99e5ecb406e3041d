package trustpolicy_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

func TestEvaluatePrincipals(t *testing.T) {
	const (
		user    = "arn:aws:iam::111122223333:user/team/Saanvi"
		role    = "arn:aws:iam::111122223333:role/team/cart"
		session = "arn:aws:sts::111122223333:assumed-role/cart/s1"
	)
	web := trustpolicy.Principal{Federated: provider}
	asUser := trustpolicy.Principal{ARN: user}
	asRole := trustpolicy.Principal{ARN: role, Session: session}
	for _, tt := range []struct {
		name      string
		principal string
		request   trustpolicy.Principal
		allows    bool
		denies    bool
	}{
		{"*: a user", `"*"`, asUser, true, true},
		{"*: a role", `"*"`, asRole, true, true},
		{"*: a web identity, which only a Deny includes", `"*"`, web, false, true},
		{"AWS *: a user", `{"AWS":"*"}`, asUser, true, true},
		{"AWS *: a web identity", `{"AWS":["*"]}`, web, false, true},
		{"an account: a user", `{"AWS":"111122223333"}`, asUser, true, true},
		{"an account: a role in another partition", `{"AWS":"111122223333"}`, trustpolicy.Principal{ARN: "arn:aws-cn:iam::111122223333:role/r"}, true, true},
		{"an account: its root", `{"AWS":"111122223333"}`, trustpolicy.Principal{ARN: "arn:aws:iam::111122223333:root"}, true, true},
		{"an account: a user of another", `{"AWS":"444455556666"}`, asUser, false, false},
		{"an account: a web identity of its provider", `{"AWS":"111122223333"}`, web, false, false},
		{"a root: a role", `{"AWS":"arn:aws:iam::111122223333:root"}`, asRole, true, true},
		{"a root: a role in another partition", `{"AWS":"arn:aws:iam::111122223333:root"}`, trustpolicy.Principal{ARN: "arn:aws-cn:iam::111122223333:role/r"}, false, false},
		{"a user: the same", `{"AWS":"` + user + `"}`, asUser, true, true},
		{"a user: one in another case", `{"AWS":"arn:aws:iam::111122223333:user/team/saanvi"}`, asUser, false, false},
		{"a user: one of another path", `{"AWS":"arn:aws:iam::111122223333:user/Saanvi"}`, asUser, false, false},
		{"a role: a session of it", `{"AWS":"` + role + `"}`, asRole, true, true},
		{"a role: the role itself", `{"AWS":"` + role + `"}`, trustpolicy.Principal{ARN: role}, true, true},
		{"a role: one of another path", `{"AWS":"arn:aws:iam::111122223333:role/cart"}`, asRole, false, false},
		{"a role: one with a longer name", `{"AWS":"arn:aws:iam::111122223333:role/team/car"}`, asRole, false, false},
		{"a session: the same", `{"AWS":"` + session + `"}`, asRole, true, true},
		{"a session: another", `{"AWS":"arn:aws:sts::111122223333:assumed-role/cart/s2"}`, asRole, false, false},
		{"a session: the role without one", `{"AWS":"` + session + `"}`, trustpolicy.Principal{ARN: role}, false, false},
		{"a federated user", `{"AWS":"arn:aws:sts::111122223333:federated-user/Saanvi"}`, asUser, false, false},
		{"several: the last", `{"AWS":["444455556666","` + user + `"]}`, asUser, true, true},
		{"several types: the other", `{"Service":"ec2.amazonaws.com","AWS":"` + user + `"}`, asUser, true, true},
		{"a service", `{"Service":"ec2.amazonaws.com"}`, asUser, false, false},
		{"a provider: its web identity", `{"Federated":"` + provider + `"}`, web, true, true},
		{"a provider: a user", `{"Federated":"` + provider + `"}`, asUser, false, false},
		{"a provider: one with a longer name", `{"Federated":"` + provider + `"}`, trustpolicy.Principal{Federated: provider + "1"}, false, false},
		{"a provider: one in another case", `{"Federated":"` + provider + `"}`, trustpolicy.Principal{Federated: "arn:aws:iam::111122223333:oidc-provider/OIDC" + issuer[4:]}, false, false},
		{"a provider of IAM's own", `{"Federated":"accounts.google.com"}`, trustpolicy.Principal{Federated: "accounts.google.com"}, true, true},
		{"a SAML provider", `{"Federated":"arn:aws:iam::111122223333:saml-provider/p"}`, web, false, false},
		{"no principal", `"*"`, trustpolicy.Principal{}, false, false},
		{"a web identity asks that is also a user", `{"AWS":"` + user + `","Federated":"` + provider + `"}`, trustpolicy.Principal{Federated: provider, ARN: user}, false, false},
		{"a web identity asks that is also a session", `{"Federated":"` + provider + `"}`, trustpolicy.Principal{Federated: provider, Session: session}, false, false},
		{"a session asks without its role", `"*"`, trustpolicy.Principal{Session: session}, false, false},
		{"a session asks as another role", `"*"`, trustpolicy.Principal{ARN: "arn:aws:iam::111122223333:role/other", Session: session}, false, false},
		{"a session asks as a role of another account", `"*"`, trustpolicy.Principal{ARN: "arn:aws:iam::444455556666:role/cart", Session: session}, false, false},
		{"a session asks as a role of another partition", `"*"`, trustpolicy.Principal{ARN: "arn:aws-cn:iam::111122223333:role/cart", Session: session}, false, false},
		{"a session asks as a user", `"*"`, trustpolicy.Principal{ARN: "arn:aws:iam::111122223333:user/cart", Session: session}, false, false},
		{"a session asks that is none", `"*"`, trustpolicy.Principal{ARN: role, Session: role}, false, false},
		{"what asks is no user or role", `"*"`, trustpolicy.Principal{ARN: "arn:aws:iam::111122223333:group/g"}, false, false},
		{"what asks is no ARN", `"*"`, trustpolicy.Principal{ARN: "Saanvi"}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := trustpolicy.Request{Action: assumeRole, Principal: tt.request}
			for effect, want := range map[string]bool{"Allow": tt.allows, "Deny": tt.denies} {
				d := parse(t, `{"Statement":{"Effect":"`+effect+`","Principal":`+tt.principal+`,"Action":"sts:*"}}`).Evaluate(r)
				assert.Equal(t, want, d.Statements[0].Matches, effect)
				assert.Equal(t, want && effect == "Allow", d.Allowed(), effect)
			}
		})
	}
}

func TestEvaluateDeletedRoleMatchesNoWebIdentity(t *testing.T) {
	of := func(effect string) string {
		return `{"Effect":"` + effect + `","Principal":{"AWS":"AROADBQP57FF2AEXAMPLE"},"Action":"sts:*"}`
	}
	asRole := by("arn:aws:iam::111122223333:role/r", assumeRole, nil)
	assert.Equal(t, `statement 1: Principal expects "AROADBQP57FF2AEXAMPLE", found "arn:aws:iam::111122223333:role/r" (the unique ID of a deleted user or role)`,
		parse(t, `{"Statement":`+of("Allow")+`}`).Evaluate(asRole).String())
	denies := parse(t, `{"Statement":[`+web(isCart)+`,{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"},`+of("Deny")+`]}`)
	assert.Equal(t, "allowed by statement 1", denies.Evaluate(ofCart()).String())
	assert.Equal(t, "allowed by statement 2, unless denied; Deny in statement 3 cannot be evaluated: Principal (the unique ID of a deleted user or role)", denies.Evaluate(asRole).String())
}

func TestEvaluateActions(t *testing.T) {
	for _, tt := range []struct {
		name   string
		action string // the element
		asked  string
		want   bool
	}{
		{"the same", `"Action":"sts:AssumeRole"`, assumeRole, true},
		{"in another case", `"Action":"STS:ASSUMEROLE"`, "sts:assumeRole", true},
		{"a longer one", `"Action":"sts:AssumeRole"`, withWebIdentity, false},
		{"one of several", `"Action":["sts:TagSession","sts:AssumeRole"]`, assumeRole, true},
		{"a wildcard", `"Action":"sts:AssumeRole*"`, withWebIdentity, true},
		{"a wildcard for one character", `"Action":"sts:Assume?ole"`, assumeRole, true},
		{"a wildcard of others", `"Action":"sts:*Session"`, assumeRole, false},
		{"all of STS", `"Action":"sts:*"`, assumeRole, true},
		{"all", `"Action":"*"`, assumeRole, true},
		{"all, but none of STS is asked for", `"Action":"*"`, "s3:GetObject", false},
		{"all, but nothing is asked for", `"Action":"*"`, "", false},
		{"all, but a pattern is asked for", `"Action":"*"`, "sts:*", false},
		{"NotAction: the same", `"NotAction":"sts:AssumeRole"`, assumeRole, false},
		{"NotAction: another", `"NotAction":["sts:AssumeRole","sts:Get*"]`, tagSession, true},
		{"NotAction: one of several", `"NotAction":["sts:TagSession","sts:assume*"]`, assumeRole, false},
		{"NotAction: another service", `"NotAction":"sts:AssumeRole"`, "s3:GetObject", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := parse(t, `{"Statement":{"Effect":"Allow","Principal":"*",`+tt.action+`}}`).
				Evaluate(by("arn:aws:iam::111122223333:role/r", tt.asked, nil))
			assert.Equal(t, tt.want, d.Allowed(), d.String())
		})
	}
}
