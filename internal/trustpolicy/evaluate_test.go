package trustpolicy_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

const (
	issuer      = "oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"
	otherIssuer = "oidc.eks.us-west-2.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
	provider    = "arn:aws:iam::111122223333:oidc-provider/" + issuer

	aud = issuer + ":aud"
	sub = issuer + ":sub"

	cart     = "system:serviceaccount:shop:cart"
	audience = "sts.amazonaws.com"

	withWebIdentity = "sts:AssumeRoleWithWebIdentity"
	assumeRole      = "sts:AssumeRole"
	tagSession      = "sts:TagSession"
)

type context map[string][]string

// webIdentity returns a request with a token for the cluster and service account.
func webIdentity(issuer, subject string) trustpolicy.Request {
	return trustpolicy.Request{
		Action:    withWebIdentity,
		Principal: trustpolicy.Principal{Federated: "arn:aws:iam::111122223333:oidc-provider/" + issuer},
		Context:   context{issuer + ":aud": {audience}, issuer + ":sub": {subject}},
	}
}

// ofCart returns a request with a token for the service account cart.
func ofCart() trustpolicy.Request { return webIdentity(issuer, cart) }

// by returns a request by an IAM user or role.
func by(arn, action string, keys context) trustpolicy.Request {
	return trustpolicy.Request{Action: action, Principal: trustpolicy.Principal{ARN: arn}, Context: keys}
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return b
}

func parse(t testing.TB, document string) *trustpolicy.Policy {
	t.Helper()
	p, err := trustpolicy.Parse([]byte(document))
	require.NoError(t, err, document)
	return p
}

func TestEvaluatePoliciesFromToolsAndAWSDocumentation(t *testing.T) {
	const (
		saanvi  = "arn:aws:iam::111122223333:user/Saanvi"
		tagger  = "arn:aws:iam::123456789012:user/test-session-tags"
		partner = "arn:aws:iam::444455556666:role/admin/partner"
	)
	for _, tt := range []struct {
		name     string
		document string
		request  trustpolicy.Request
		want     string // the text of the decision
	}{
		{"eksctl: its service account", "eksctl.json", ofCart(), "allowed by statement 1"},
		{"eksctl: another service account", "eksctl.json", webIdentity(issuer, "system:serviceaccount:shop:other"),
			`statement 1: StringEquals on "` + sub + `" expects "` + cart + `", found "system:serviceaccount:shop:other" (another service account)`},
		{"eksctl: the default audience of Kubernetes", "eksctl.json", with(ofCart(), aud, "https://kubernetes.default.svc"),
			`statement 1: StringEquals on "` + aud + `" expects "sts.amazonaws.com", found "https://kubernetes.default.svc" (the audience of the token is not STS)`},
		{"eksctl: AssumeRole by a role of the account", "eksctl.json", by("arn:aws:iam::111122223333:role/r", assumeRole, nil),
			`statement 1: Principal expects "` + provider + `", found "arn:aws:iam::111122223333:role/r" (only web identities are trusted)` +
				`, and Action expects "sts:AssumeRoleWithWebIdentity", found "sts:AssumeRole"` +
				`, and StringEquals on "` + aud + `" expects "sts.amazonaws.com", found nothing` +
				`, and StringEquals on "` + sub + `" expects "` + cart + `", found nothing`},
		{"eksctl: a service account of its pattern", "eksctl-pattern.json", webIdentity(issuer, "system:serviceaccount:shop:app-1"), "allowed by statement 1"},
		{"eksctl: a service account that is not", "eksctl-pattern.json", ofCart(),
			`statement 1: StringLike on "` + sub + `" expects "system:serviceaccount:shop:app-*", found "` + cart + `" (another service account)`},
		{"the EKS User Guide: its service account", "eks-user-guide.json", ofCart(), "allowed by statement 1"},
		{"the EKS User Guide: keys in another case", "eks-user-guide.json", trustpolicy.Request{
			Action: "STS:assumerolewithwebidentity", Principal: trustpolicy.Principal{Federated: provider},
			Context: context{"OIDC.EKS.eu-central-1.amazonaws.com/id/exampled539d4633e53de1b71example:AUD": {audience}, sub: {cart}},
		}, "allowed by statement 1"},
		{"the EKS User Guide: a token of another cluster", "eks-user-guide.json", webIdentity(otherIssuer, cart),
			`statement 1: Principal expects "` + provider + `", found "arn:aws:iam::111122223333:oidc-provider/` + otherIssuer + `" (another issuer)` +
				`, and StringEquals on "` + aud + `" expects "sts.amazonaws.com", found nothing (another issuer: the request has "` + otherIssuer + `:aud")` +
				`, and StringEquals on "` + sub + `" expects "` + cart + `", found nothing (another issuer: the request has "` + otherIssuer + `:sub")`},
		{"Terraform: the second of two service accounts", "terraform-equals.json", ofCart(), "allowed by statement 1"},
		{"Terraform: the second of two clusters", "terraform-equals.json", webIdentity(otherIssuer, "system:serviceaccount:canary:cart"), "allowed by statement 2"},
		{"Terraform: the namespace of the other cluster", "terraform-equals.json", webIdentity(otherIssuer, cart),
			`statement 2: StringEquals on "` + otherIssuer + `:sub" expects "system:serviceaccount:canary:cart", found "` + cart + `" (another namespace)`},
		{"Terraform with StringLike: a namespace of the pattern", "terraform-like.json", webIdentity(issuer, "system:serviceaccount:shop-1:cart"), "allowed by statement 2"},
		{"Terraform with StringLike: a namespace that is not", "terraform-like.json", ofCart(),
			`statement 2: StringLike on "` + sub + `" expects "system:serviceaccount:shop-*:cart", found "` + cart + `" (another namespace)`},
		{"Terraform: the role assumes itself", "terraform-like.json",
			by("arn:aws:iam::111122223333:role/shop/cart", assumeRole, context{"aws:PrincipalArn": {"arn:aws:iam::111122223333:role/shop/cart"}}),
			"allowed by statement 1 (ExplicitSelfRoleAssumption)"},
		{"Terraform: another role assumes it", "terraform-like.json",
			by("arn:aws:iam::111122223333:role/cart", assumeRole, context{"aws:PrincipalArn": {"arn:aws:iam::111122223333:role/cart"}}),
			`statement 1 (ExplicitSelfRoleAssumption): ArnLike on "aws:PrincipalArn" expects "arn:aws:iam::111122223333:role/shop/cart", found "arn:aws:iam::111122223333:role/cart"`},
		{"Terraform: the role with an audience and a pattern", "terraform-role.json", webIdentity(issuer, "system:serviceaccount:shop-1:cart"), "allowed by statement 1"},
		{"Terraform: the role with another audience", "terraform-role.json", with(webIdentity(issuer, "system:serviceaccount:shop-1:cart"), aud, "vault"),
			`statement 1: StringEquals on "` + aud + `" expects "sts.amazonaws.com", found "vault" (the audience of the token is not STS)`},
		{"Terraform: the role with the subject only", "terraform-subject.json", with(ofCart(), aud, "anything"), "allowed by statement 1"},
		{"the EKS User Guide: no condition lets every service account in", "no-condition.json", webIdentity(issuer, "system:serviceaccount:default:default"), "allowed by statement 1"},
		{"CloudFormation: without a condition on the audience", "cloudformation.json", with(ofCart(), aud, "anything"), "allowed by statement 1"},
		{"CloudFormation: EKS Pod Identity is no request of ours", "cloudformation.json", by("arn:aws:iam::111122223333:role/r", tagSession, nil),
			`statement 2: Principal expects "pods.eks.amazonaws.com", found "arn:aws:iam::111122223333:role/r"`},
		{"EC2 only", "service.json", by("arn:aws:iam::111122223333:role/r", assumeRole, nil),
			`statement 1: Principal expects "ec2.amazonaws.com", found "arn:aws:iam::111122223333:role/r"`},
		{"another account with its external ID", "external-id.json", by(partner, assumeRole, context{"sts:ExternalId": {"12345"}}), "allowed by statement 1"},
		{"another account with another external ID", "external-id.json", by(partner, assumeRole, context{"sts:ExternalId": {"54321"}}),
			`statement 1: StringEquals on "sts:ExternalId" expects "12345", found "54321"`},
		{"another account without an external ID", "external-id.json", by(partner, assumeRole, nil),
			`statement 1: StringEquals on "sts:ExternalId" expects "12345", found nothing`},
		{"a third account with the external ID", "external-id.json", by(saanvi, assumeRole, context{"sts:ExternalId": {"12345"}}),
			`statement 1: Principal expects "arn:aws:iam::444455556666:root", found "` + saanvi + `" (another account)`},
		{"the user's name as source identity", "source-identity.json",
			by(saanvi, "sts:SetSourceIdentity", context{"aws:username": {"Saanvi"}, "sts:SourceIdentity": {"Saanvi"}}), "allowed by statement 1 (AllowAdminUserAssumeRole)"},
		{"another name as source identity", "source-identity.json",
			by(saanvi, "sts:SetSourceIdentity", context{"aws:username": {"Saanvi"}, "sts:SourceIdentity": {"Diego2"}}),
			`statement 1 (AllowAdminUserAssumeRole): StringEquals on "sts:SourceIdentity" expects "${aws:username}", found "Diego2"`},
		{"a source identity that is denied", "source-identity.json",
			by(saanvi, "sts:SetSourceIdentity", context{"aws:username": {"Saanvi"}, "sts:SourceIdentity": {"Li"}}), "denied by statement 2 (DenyOtherIdentities)"},
		{"no source identity is denied, since the operator is negated", "source-identity.json",
			by(saanvi, "sts:SetSourceIdentity", context{"aws:username": {"Saanvi"}}), "denied by statement 2 (DenyOtherIdentities)"},
		{"the user's name as session name", "session-name.json",
			by(saanvi, assumeRole, context{"aws:username": {"Saanvi"}, "sts:RoleSessionName": {"Saanvi"}}), "allowed by statement 1 (RoleTrustPolicyRequireUsernameForSessionName)"},
		{"another session name", "session-name.json",
			by(saanvi, assumeRole, context{"aws:username": {"Saanvi"}, "sts:RoleSessionName": {"x"}}),
			`statement 1 (RoleTrustPolicyRequireUsernameForSessionName): StringLike on "sts:RoleSessionName" expects "${aws:username}", found "x"`},
		{"a role has no user name", "session-name.json",
			by("arn:aws:iam::111122223333:role/r", assumeRole, context{"sts:RoleSessionName": {"${aws:username}"}}),
			`statement 1 (RoleTrustPolicyRequireUsernameForSessionName): StringLike on "sts:RoleSessionName" expects "${aws:username}", found "${aws:username}" (${aws:username} is not in the request)`},
		{"session tags", "session-tags.json", by(tagger, assumeRole, tags("Engineering")), "allowed by statement 1 (AllowIamUserAssumeRole)"},
		{"passing session tags", "session-tags.json", by(tagger, tagSession, tags("Marketing")), "allowed by statement 2 (AllowPassSessionTagsAndTransitive)"},
		{"passing session tags of which some are transitive", "session-tags.json",
			with(by(tagger, tagSession, tags("Marketing")), "sts:TransitiveTagKeys", "Project", "Department"), "allowed by statement 2 (AllowPassSessionTagsAndTransitive)"},
		{"a tag that must not be transitive", "session-tags.json",
			with(by(tagger, tagSession, tags("Marketing")), "sts:TransitiveTagKeys", "Project", "CostCenter"),
			`statement 2 (AllowPassSessionTagsAndTransitive): ForAllValues:StringEquals on "sts:TransitiveTagKeys" expects "Project" or "Department", found "Project" and "CostCenter"`},
		{"a department that is not in the list", "session-tags.json", by(tagger, tagSession, tags("Sales")),
			`statement 2 (AllowPassSessionTagsAndTransitive): StringEquals on "aws:RequestTag/Department" expects "Engineering" or "Marketing", found "Sales"`},
		{"a second factor", "multi-factor.json", by(saanvi, assumeRole, secondFactor(saanvi, "true", "3599.5")), "allowed by statement 1 (Account)"},
		{"a second factor long ago", "multi-factor.json", by(saanvi, assumeRole, secondFactor(saanvi, "true", "3600")),
			`statement 1 (Account): NumericLessThan on "aws:MultiFactorAuthAge" expects "3600", found "3600"`},
		{"no second factor", "multi-factor.json", by(saanvi, assumeRole, secondFactor(saanvi, "false", "1")),
			`statement 1 (Account): Bool on "aws:MultiFactorAuthPresent" expects "true", found "false"`},
		{"a principal that the Deny excludes", "multi-factor.json", by(partner, assumeRole, secondFactor(partner, "true", "1")), "allowed by statement 1 (Account)"},
		{"a principal that the Deny does not exclude", "multi-factor.json",
			by("arn:aws:iam::444455556666:role/r", assumeRole, secondFactor("arn:aws:iam::444455556666:role/r", "true", "1")), "denied by statement 2 (DenyAll)"},
		{"a Deny of AWS * includes web identities", "multi-factor.json", ofCart(), "denied by statement 2 (DenyAll)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := parse(t, string(read(t, tt.document))).Evaluate(tt.request)
			assert.Equal(t, tt.want, d.String())
			assert.Equal(t, tt.want[:7] == "allowed", d.Allowed())
		})
	}
}

// with returns r with different values for key.
func with(r trustpolicy.Request, key string, values ...string) trustpolicy.Request {
	changed := context{key: values}
	for k, v := range r.Context {
		if k != key {
			changed[k] = v
		}
	}
	r.Context = changed
	return r
}

func tags(department string) context {
	return context{
		"aws:RequestTag/Project": {"Automation"}, "aws:RequestTag/CostCenter": {"12345"},
		"aws:RequestTag/Department": {department}, "sts:ExternalId": {"Example987"},
	}
}

func secondFactor(arn, present, age string) context {
	return context{"aws:PrincipalArn": {arn}, "aws:MultiFactorAuthPresent": {present}, "aws:MultiFactorAuthAge": {age}}
}

func TestDecisionHasOutcomePerStatement(t *testing.T) {
	d := parse(t, string(read(t, "multi-factor.json"))).Evaluate(by("arn:aws:iam::777788889999:user/u", tagSession, nil))
	accounts := []string{"111122223333", "arn:aws:iam::444455556666:root"}
	user := []string{"arn:aws:iam::777788889999:user/u"}
	assert.Equal(t, trustpolicy.Decision{Statements: []trustpolicy.Outcome{
		{Index: 1, Sid: "Account", Effect: "Allow", Mismatches: []trustpolicy.Mismatch{
			{Element: "Principal", Expected: accounts, Found: user, Advice: "another account"},
			{Element: "Action", Expected: []string{assumeRole}, Found: []string{tagSession}, Advice: "the session has tags"},
			{Element: "Condition", Operator: "Bool", Key: "aws:MultiFactorAuthPresent", Expected: []string{"true"}},
			{Element: "Condition", Operator: "NumericLessThan", Key: "aws:MultiFactorAuthAge", Expected: []string{"3600"}},
		}},
		{Index: 2, Sid: "DenyAll", Effect: "Deny", Matches: true},
	}}, d)
}

func TestDecisionStringNamesClosestStatements(t *testing.T) {
	const other = `"Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/x.example.com"},"Action":"sts:AssumeRoleWithWebIdentity"`
	const mine = `"Principal":{"Federated":"` + provider + `"},"Action":"sts:AssumeRoleWithWebIdentity"`
	for _, tt := range []struct{ name, statements, want string }{
		{"one for the principal, though more of its conditions differ",
			`{"Effect":"Allow",` + other + `},{"Sid":"b","Effect":"Allow",` + mine + `,"Condition":{"StringEquals":{"aws:a":"1","aws:b":"2"}}}`,
			`statement 2 (b): StringEquals on "aws:a" expects "1", found nothing, and StringEquals on "aws:b" expects "2", found nothing`},
		{"the one with fewer conditions that differ",
			`{"Effect":"Allow",` + mine + `,"Condition":{"StringEquals":{"aws:a":"1","aws:b":"2"}}},{"Effect":"Allow",` + mine + `,"Condition":{"StringEquals":{"aws:c":"3"}}}`,
			`statement 2: StringEquals on "aws:c" expects "3", found nothing`},
		{"two that are as near",
			`{"Effect":"Allow",` + mine + `,"Condition":{"Null":{"aws:a":"false"}}},{"Effect":"Allow",` + mine + `,"Condition":{"Null":{"` + sub + `":"true"}}}`,
			`statement 1: Null on "aws:a" expects a value, found nothing; statement 2: Null on "` + sub + `" expects no value, found "` + cart + `"`},
		{"none but one that denies others", `{"Effect":"Deny",` + other + `}`, "no statement allows anything"},
		{"one that leaves the action out",
			`{"Effect":"Allow","Principal":{"Federated":"` + provider + `"},"NotAction":["sts:TagSession","sts:*WebIdentity"]}`,
			`statement 1: NotAction excludes "sts:TagSession" and "sts:*WebIdentity", found "sts:AssumeRoleWithWebIdentity"`},
		{"a negated operator", `{"Effect":"Allow",` + mine + `,"Condition":{"StringNotLike":{"` + sub + `":["x","*:cart"]}}}`,
			`statement 1: StringNotLike on "` + sub + `" expects anything but "x" or "*:cart", found "` + cart + `"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := parse(t, `{"Statement":[`+tt.statements+`]}`).Evaluate(ofCart())
			assert.False(t, d.Allowed())
			assert.Equal(t, tt.want, d.String())
		})
	}
}

func TestDecisionExplicit(t *testing.T) {
	const denies = `{"Effect":"Deny","Principal":"*","Action":"*"}`
	assert.True(t, parse(t, `{"Statement":[`+allowing("")+","+denies+`]}`).Evaluate(ofCart()).Explicit())
	assert.True(t, parse(t, `{"Statement":`+denies+`}`).Evaluate(ofCart()).Explicit())
	assert.False(t, parse(t, document("")).Evaluate(ofCart()).Explicit())
	assert.False(t, parse(t, document(`"Condition":{"StringEquals":{"k:k":"a"}}`)).Evaluate(ofCart()).Explicit())
}

func TestPolicyZeroValueAllowsNothing(t *testing.T) {
	d := new(trustpolicy.Policy).Evaluate(ofCart())
	assert.Equal(t, trustpolicy.Decision{}, d)
	assert.Equal(t, "no statement allows anything", d.String())
}
