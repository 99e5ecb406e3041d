package explain

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/tokenfile"
)

const (
	testRole   = "arn:aws:iam::111122223333:role/s3-writer"
	testSource = "arn:aws:iam::111122223333:role/source"
)

// respond returns the facts for an STS response. source is empty for a web identity.
func respond(code, message, source string, change ...func(*Facts)) Facts {
	err := answered(403, code, message)
	f := Facts{
		Kind: Kind(err, source), Err: err, Code: code, RoleARN: testRole, Source: source, Region: "us-west-2", TokenFile: "/token", Now: time.Now(),
		Claims: tokenfile.Claims{Issuer: "https://oidc.example.com", Subject: "system:serviceaccount:shop:cart", Audience: []string{STSAudience}, Expiry: time.Now().Add(time.Hour)},
	}
	if source != "" {
		f.TokenFile, f.Claims = "", tokenfile.Claims{}
	}
	for _, c := range change {
		c(&f)
	}
	return f
}

// TestRuleNamesPolicyTypeAndAction checks the advice for each of AWS's endings and each action, for a
// first role and for a role chain.
func TestRuleNamesPolicyTypeAndAction(t *testing.T) {
	endings := map[string]string{}
	for _, kind := range []string{
		"identity-based policy", "resource-based policy", "session policy", "VPC endpoint policy", "permissions boundary",
		"service control policy", "resource control policy",
	} {
		article := "a "
		if strings.HasPrefix(kind, "identity") {
			article = "an "
		}
		endings["because no "+kind+" allows the %s action"] = kind
		endings["with an explicit deny in "+article+kind] = kind
		endings["with an explicit deny in "+article+kind+": arn:aws:organizations::999988887777:policy/o-1/p-1"] = kind
	}
	for source, actions := range map[string][]string{
		"":         {"sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"},
		testSource: {"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"},
	} {
		for ending, kind := range endings {
			for _, action := range actions {
				if strings.Contains(ending, "%s") {
					ending = fmt.Sprintf(ending, action)
				}
				message := "User: arn:aws:sts::111122223333:assumed-role/source/cart is not authorized to perform: " + action + " on resource: " + testRole + " " + ending
				f := respond("AccessDenied", message, source)
				require.Equal(t, ErrAccessDenied, f.Kind)
				a := For(f)
				for _, text := range []string{a.Fix, a.Text} {
					assert.Contains(t, text, kind, message)
					assert.Regexp(t, action+`\b`, text, message)
				}
				if kind != "resource control policy" || strings.Contains(ending, "explicit deny") {
					assert.Regexp(t, `(needs the|with the|the) (statement|condition) \{"|with \{"NotResource":"`, a.Text, message)
				}
				if strings.Contains(ending, "explicit deny") {
					assert.Contains(t, a.Fix, "deny", message)
					assert.NotContains(t, a.Text, "statement {", message)
					assert.Contains(t, a.Text, "move "+action+" to a Deny statement of its own", message)
					assert.Equal(t, strings.Contains(ending, "arn:") && kind != "resource-based policy", strings.Contains(a.Text, " (arn:aws:organizations::999988887777:policy/o-1/p-1) denies "), message)
				}
				if action == "sts:TagSession" && strings.Contains(ending, "identity-based policy allows") && source != "" {
					assert.Contains(t, a.Text, "inherits the transitive tags")
				}
				ending = strings.ReplaceAll(ending, action, "%s")
			}
		}
	}
}

// In a pod that mounts its token itself, as in clusters without the webhook, AWS_ROLE_ARN does not come
// from an annotation.
func TestRuleForDeniedRoleNamesBothOriginsOfARN(t *testing.T) {
	a := For(respond("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", ""))
	assert.Contains(t, a.Text, "correct the annotation eks.amazonaws.com/role-arn, or AWS_ROLE_ARN if the pod sets it itself. After any change, recreate the pod")
}

func TestRuleForDeniedChainCoversBothSides(t *testing.T) {
	for _, action := range []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"} {
		a := For(respond("AccessDenied", "User: x is not authorized to perform: "+action+" on resource: "+testRole, testSource))
		assert.Equal(t, HeadingRoleChain, a.Heading)
		assert.Contains(t, a.Text, "dentity-based policy of "+testSource+` needs the statement {"Effect":"Allow","Action":`)
		assert.Contains(t, a.Fix, action)
		if action == "sts:AssumeRole" {
			assert.Contains(t, a.Text, `{"Effect":"Allow","Principal":{"AWS":"`+testSource+`"},"Action":"sts:AssumeRole"}`)
			continue
		}
		assert.Contains(t, a.Text, `{"Effect":"Allow","Principal":{"AWS":"`+testSource+`"},"Action":["sts:AssumeRole","`+action+`"]}`)
		assert.Contains(t, a.Text, "inherits")
	}
	a := For(respond("AccessDenied", "User: x is not authorized to perform: sts:TagSession on resource: y", testSource, func(f *Facts) {
		f.ExternalID, f.Tagged, f.Identified = "4711", true, true
	}))
	actions := `"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]`
	assert.Contains(t, a.Text, actions+`,"Resource":"`+testRole+`"}`)
	assert.Contains(t, a.Text, actions+`,"Condition":{"StringEquals":{"sts:ExternalId":"4711"}}}`)
	assert.NotContains(t, a.Text, "inherits", "an option sets the tags")
	denied := For(respond("AccessDenied", "User: x is not authorized to perform: sts:AssumeRole on resource: y", testSource, func(f *Facts) { f.ExternalID = "4711" }))
	assert.Contains(t, denied.Text, "set the options ExternalID, SourceIdentity and Tags as these require", "an external ID is set")
	a = For(respond("AccessDenied", "Not authorized to perform sts:TagSession", ""))
	assert.Contains(t, a.Text, `"Action":["sts:AssumeRoleWithWebIdentity","sts:TagSession"]`)
}

func TestRuleForResponse(t *testing.T) {
	china := func(f *Facts) { f.RoleARN = "arn:aws-cn:iam::111122223333:role/s3-writer" }
	issuer := func(issuer string) func(*Facts) { return func(f *Facts) { f.Claims.Issuer = issuer } }
	audience := func(audience string) func(*Facts) { return func(f *Facts) { f.Claims.Audience = []string{audience} } }
	endpoint := func(f *Facts) { f.Endpoint = "https://sts.eu-west-1.amazonaws.com" }
	noProvider := "No OpenIDConnect provider found in your account for x"
	for _, tt := range []struct {
		name    string
		facts   Facts
		kind    error
		heading Heading
		want    string // must be in the advice
		not     string // must not be in the advice, unless empty
	}{
		{"partition, no provider", respond("InvalidIdentityToken", noProvider, "", china), ErrTokenRejected, HeadingRoleARN, "AWS_ROLE_ARN=arn:aws:iam::111122223333:role/s3-writer, and check the account ID: each account is in one partition only. Or set AWS_REGION=cn-north-1", "create-open-id"},
		{"partition, ARN", respond("ValidationError", "Request ARN is invalid", "", china), ErrInvalidRequest, HeadingRoleARN, "partition aws-cn", "looks like"},
		{"partition, chain", respond("AccessDenied", "", testSource, china), ErrAccessDenied, HeadingRoleARN, "Call AssumeRole with arn:aws:iam::111122223333:role/s3-writer", "sts:AssumeRole"},
		{"partition, EKS cluster", respond("AccessDenied", "", "", china, issuer("https://oidc.eks.us-east-1.amazonaws.com/id/A")), ErrAccessDenied, HeadingRoleARN, "AWS_ROLE_ARN=arn:aws:iam::111122223333:role/s3-writer", "AWS_REGION"},
		{"partition of the region, EKS cluster", respond("AccessDenied", "", "", china, issuer("https://oidc.eks.cn-northwest-1.amazonaws.com.cn/id/A")), ErrAccessDenied, HeadingRoleARN, "Set AWS_REGION=cn-northwest-1", "AWS_ROLE_ARN"},
		{"three partitions", respond("AccessDenied", "", "", china, issuer("https://oidc.eks.us-gov-west-1.amazonaws.com/id/A")), ErrAccessDenied, HeadingRoleARN,
			"AWS_ROLE_ARN=arn:aws-us-gov:iam::111122223333:role/s3-writer, and check the account ID: each account is in one partition only. Then set AWS_REGION=us-gov-west-1", "arn:aws:iam"},
		{"partition, name with a command", respond("AccessDenied", "", "", func(f *Facts) { f.RoleARN = "arn:aws-cn:iam::111122223333:role/$(id)" }), ErrAccessDenied, HeadingRoleARN, "AWS_ROLE_ARN=..., and", "arn:aws:iam"},
		{"ARN in China", respond("ValidationError", "Request ARN is invalid", "", china, func(f *Facts) { f.Region = "cn-north-1" }), ErrInvalidRequest, HeadingRoleARN, "arn:aws-cn:iam::111122223333:role/name", "arn:aws:"},
		{"API server's token", respond("InvalidIdentityToken", "Incorrect token audience", "", audience("https://kubernetes.default.svc")), ErrTokenRejected, HeadingAudience, "this is not the IRSA token", ""},
		{"API server's token by issuer", respond("AccessDenied", "", "", audience("https://oidc.example.com")), ErrAccessDenied, HeadingAudience, "this is not the IRSA token", ""},
		{"token for Vault", respond("InvalidIdentityToken", "Incorrect token audience", "", audience("vault")), ErrTokenRejected, HeadingAudience, `the token is for "vault"`, "not the IRSA token"},
		{"throttled with the API server's token", respond("Throttling", "", "", audience("https://kubernetes.default.svc")), ErrThrottled, HeadingThrottled, "STS's limit", "IRSA token"},
		{"issuer with an address", respond("InvalidIdentityToken", noProvider, "", issuer("https://10.0.0.1:6443")), ErrTokenRejected, HeadingNoOIDCProvider, "IP address", "create-open-id"},
		{"issuer with a port", respond("InvalidIdentityToken", noProvider, "", issuer("https://oidc.example.com:8443/a")), ErrTokenRejected, HeadingNoOIDCProvider, "has a port", "create-open-id"},
		{"issuer with an IPv6 address", respond("InvalidIdentityToken", noProvider, "", issuer("https://[2001:db8::1]")), ErrTokenRejected, HeadingNoOIDCProvider, "IP address", "create-open-id"},
		{"public issuer", respond("InvalidIdentityToken", noProvider, ""), ErrTokenRejected, HeadingNoOIDCProvider, "check that the role's trust policy names this issuer, and create the provider: aws iam create-open-id-connect-provider --url https://oidc.example.com --client-id-list sts.amazonaws.com", ""},
		{"denied", respond("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", ""), ErrAccessDenied, HeadingAccessDenied, "recreate the pod", ""},
		{"condition of the trust policy", respond("AccessDenied", "User: x is not authorized to perform: sts:AssumeRole on resource: y because no resource-based policy allows the sts:AssumeRole action", testSource), ErrAccessDenied, HeadingRoleChain, "set the options ExternalID", ""},
		{"provided context", respond("AccessDenied", "User: x is not authorized to perform: sts:SetContext on resource: y", testSource), ErrAccessDenied, HeadingRoleChain, `["sts:AssumeRole","sts:SetContext"]`, "inherits"},
		{"itself", respond("AccessDenied", "User: x is not authorized to perform: sts:AssumeRole on resource: y because no resource-based policy allows the sts:AssumeRole action", testRole), ErrAccessDenied, HeadingRoleChain, "use it directly", "statement"},
		{"scope", respond("SignatureDoesNotMatch", "Credential should be scoped to a valid region, not 'us-west-2'.", testSource, endpoint), ErrInvalidRequest, HeadingEndpoint, "AWS_ENDPOINT_URL_STS", "clock"},
		{"scope without an endpoint", respond("SignatureDoesNotMatch", "Credential should be scoped to a valid region", testSource), ErrInvalidRequest, HeadingEndpoint, "a region other than us-west-2", "AWS_ENDPOINT_URL_STS"},
		{"signature expired", respond("SignatureDoesNotMatch", "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z", testSource), ErrRejected, HeadingClock, "time synchronization", ""},
		{"signature changed", respond("SignatureDoesNotMatch", "The request signature we calculated does not match", testSource), ErrInvalidRequest, HeadingInvalidRequest, "something changed the request", "clock"},
		{"request expired", respond("RequestExpired", "", testSource), ErrRejected, HeadingClock, "time synchronization", ""},
		{"explicit deny", respond("AccessDenied", "User: x is not authorized to perform: sts:AssumeRole on resource: y with an explicit deny", testSource), ErrAccessDenied, HeadingAccessDenied, "look for a Deny statement", "needs the permission"},
		{"in capitals", respond("AccessDenied", "BECAUSE NO SESSION POLICY ALLOWS the sts:AssumeRole action", testSource), ErrAccessDenied, HeadingRoleChain, "session policy", ""},
		{"K3s token", respond("InvalidIdentityToken", "Incorrect token audience", "", audience("k3s")), ErrTokenRejected, HeadingAudience, "this is not the IRSA token", ""},
		{"source expired", respond("ExpiredToken", "", testSource), ErrRejected, HeadingRefusedByService, testSource, ""},
		{"source unknown", respond("InvalidClientTokenId", "", testSource), ErrRejected, HeadingRefusedByService, "created again", ""},
		{"tags", respond("PackedPolicyTooLarge", "Packed size of session tags consumes 112% of allotted space.", testSource), ErrInvalidRequest, HeadingSessionPolicy, "source role's session also count", "Options.Policy"},
		{"tags, long code", respond("PackedPolicyTooLargeException", "Packed size of session tags consumes 112% of allotted space.", ""), ErrInvalidRequest, HeadingSessionPolicy, "the token's claim https://aws.amazon.com/tags", "Options.Policy"},
		{"policy", respond("PackedPolicyTooLargeException", "Packed policy consumes 112% of allotted space", ""), ErrInvalidRequest, HeadingSessionPolicy, "Options.Policy", ""},
		{"transitive tag that is inherited", respond("InvalidParameterValue", "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.", testSource), ErrInvalidRequest, HeadingInvalidRequest, "leave the key out of the option Tags", "OpenID"},
		{"equal tags", respond("InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive.", testSource), ErrInvalidRequest, HeadingInvalidRequest, "the option Tags", "OpenID"},
		{"transitive tag that is missing", respond("InvalidParameterValue", "The specified transitive tag key must be included in the requested tags.", testSource), ErrInvalidRequest, HeadingInvalidRequest, "the option Tags", "OpenID"},
		{"equal tags, another code", respond("ValidationError", "Duplicate tag keys found. Please note that Tag keys are case insensitive.", testSource), ErrInvalidRequest, HeadingInvalidRequest, "the option Tags", "report a bug"},
		{"inherited tag, another code", respond("ValidationError", "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.", testSource), ErrInvalidRequest, HeadingInvalidRequest, "leave the key out of the option Tags", "report a bug"},
		{"external ID", respond("ValidationError", "1 validation error detected: Value 'x' at 'externalId' failed to satisfy constraint: Member must have length greater than or equal to 2", testSource), ErrInvalidRequest, HeadingInvalidRequest, "the external ID, the source identity", ""},
		{"tags of the token", respond("InvalidParameterValue", "Duplicate tag keys found.", ""), ErrInvalidRequest, HeadingInvalidRequest, "https://aws.amazon.com/tags", "OpenID"},
		{"parameter", respond("InvalidParameterValue", "", testSource), ErrInvalidRequest, HeadingInvalidRequest, "STS names the parameter", "OpenID"},
		{"parameter of another server", respond("InvalidParameterValue", "", "", endpoint), ErrTokenRejected, HeadingTokenRejected, "OpenID", ""},
		{"parameter of AWS", respond("InvalidParameterValue", "", ""), ErrTokenRejected, HeadingTokenRejected, "STS does not accept the token", "OpenID"},
		{"no provider, by a clock behind", respond("InvalidIdentityToken", noProvider, "", func(f *Facts) { f.Claims.IssuedAt = f.Now.Add(90 * time.Second) }), ErrTokenRejected, HeadingNoOIDCProvider, "create-open-id", "clock"},
		{"issued in the future", respond("InvalidIdentityToken", "", "", func(f *Facts) { f.Claims.IssuedAt = f.Now.Add(90 * time.Second) }), ErrTokenRejected, HeadingClock, "in the future", ""},
		{"token of a secret", respond("InvalidIdentityToken", noProvider, "", func(f *Facts) { f.Claims = tokenfile.Claims{Issuer: "kubernetes/serviceaccount"} }), ErrTokenRejected, HeadingTokenRejected, "service account's secret", "create-open-id"},
		{"source unknown, in JSON", respond("UnrecognizedClientException", "", testSource), ErrRejected, HeadingRefusedByService, "created again", ""},
		{"source unknown to S3", respond("InvalidAccessKeyId", "", testSource), ErrRejected, HeadingRefusedByService, "created again", ""},
		{"source to be renewed", respond("TokenRefreshRequired", "", testSource), ErrRejected, HeadingRefusedByService, "created again", ""},
		{"request in the future", respond("RequestInTheFuture", "", testSource), ErrRejected, HeadingClock, "time synchronization", ""},
		{"signature expired, in JSON", respond("InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z", testSource), ErrRejected, HeadingClock, "time synchronization", ""},
		{"signature removed", respond("MissingAuthenticationToken", "Request is missing Authentication Token", testSource), ErrInvalidRequest, HeadingInvalidRequest, "something changed the request", "is not STS"},
		{"signature added", respond("IncompleteSignature", "Authorization header requires 'Credential' parameter.", ""), ErrInvalidRequest, HeadingInvalidRequest, "something changed the request", ""},
		{"region", respond("RegionDisabledException", "", ""), ErrInvalidRequest, HeadingRegionDisabled, "opt-in region, enable us-west-2 itself there", "set AWS_REGION"},
		{"not STS", respond("InvalidAction", "", "", endpoint), ErrUnavailable, HeadingNotSTS, "AWS_ENDPOINT_URL_STS", ""},
		{"not STS, no endpoint", respond("InvalidAction", "", "", func(f *Facts) { f.URL = "https://sts.example" }), ErrUnavailable, HeadingNotSTS, "is not STS", "AWS_ENDPOINT_URL_STS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.kind, tt.facts.Kind)
			a := For(tt.facts)
			assert.Equal(t, tt.heading, a.Heading)
			assert.Contains(t, a.Text, tt.want)
			if tt.not != "" {
				assert.NotContains(t, a.Text, tt.not)
			}
		})
	}
}

func TestRuleNamesEndpointVariableBeforeDNS(t *testing.T) {
	unknown := func(host string) error { return &net.DNSError{Err: "no such host", Name: host, IsNotFound: true} }
	for _, tt := range []struct {
		region          string
		fips, dualStack bool
		err             error
		want            string
	}{
		{"eu-west-1", true, false, unknown("sts-fips.eu-west-1.amazonaws.com"), "AWS_USE_FIPS_ENDPOINT selects the host sts-fips.eu-west-1.amazonaws.com"},
		{"eu-west-1", false, true, unknown("sts.eu-west-1.api.aws"), "AWS_USE_DUALSTACK_ENDPOINT selects the host"},
		{"us-gov-west-1", true, false, unknown("sts.us-gov-west-1.amazonaws.com"), "check the region, the cluster's DNS"}, // the standard host name
		{"us-east-1", true, true, &net.DNSError{Err: "i/o timeout", Name: "sts-fips.us-east-1.api.aws", IsTimeout: true}, "the cluster's DNS does not respond"},
		{"us-east-1", true, true, &net.DNSError{Err: "server misbehaving", Name: "sts-fips.us-east-1.api.aws", IsTemporary: true}, "the cluster's DNS does not respond"},
		{"us-east-1", true, true, context.DeadlineExceeded, "does not respond: check the network policies and the proxy"},
	} {
		f := Facts{Kind: ErrUnavailable, Err: tt.err, Region: tt.region, FIPS: tt.fips, DualStack: tt.dualStack}
		assert.Contains(t, For(f).Text, tt.want)
	}
}

func TestSettingEncryptsEndpoint(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://sts.corp.example": "set AWS_ENDPOINT_URL_STS=https://sts.corp.example (or Options.Endpoint, which has precedence). ",
		"http://[2001:db8::1]":    "set an https:// URL. ",
		"http://$(id)":            "set an https:// URL. ",
		"":                        "set an https:// URL. ", // Options.STS is set, so the endpoint is not known
	} {
		assert.Contains(t, Setting(HeadingEndpoint, Facts{Err: ErrCleartext, Endpoint: endpoint}).Text, want)
	}
}

func TestRuleForPermissionSuggestsFSGroupOnlyIfMissing(t *testing.T) {
	f := Facts{Kind: ErrTokenFile, Err: errors.New("x"), TokenFile: "/token"}
	f.Err, f.File = fmt.Errorf("open: %w", fs.ErrPermission), File{Visible: true, Mode: 0o640, Owner: &Owner{Group: 2000}, User: 1000, Group: 1000}
	assert.Contains(t, For(f).Text, "fsGroup")
	f.File.MoreGroups = []int{2000}
	assert.NotContains(t, For(f).Text, "fsGroup", "the group may read the file already")
	assert.Contains(t, For(f).Text, "SELinux")
}

// TestRuleTextsAreBounded checks the length of each fix with the longest facts, and that every
// placeholder is known.
func TestRuleTextsAreBounded(t *testing.T) {
	f := Facts{
		RoleARN: testRole, Region: "ap-southeast-15", Endpoint: "https://x", Source: testSource,
		Err: answered(403, "AccessDenied", "not authorized to perform: sts:SetSourceIdentity"),
	}
	known := map[error]bool{ErrNotConfigured: true, ErrTokenFile: true, ErrTokenExpired: true, ErrTokenRejected: true, ErrAccessDenied: true, ErrThrottled: true, ErrUnavailable: true, ErrInvalidRequest: true, ErrRejected: true}
	check := func(r rule, isSTS bool) {
		fix := r.fix
		if r.only != chained {
			fix = strings.ReplaceAll(fix, "{action}", "sts:AssumeRoleWithWebIdentity")
		}
		fix = f.expand(fix)
		assert.NotEmpty(t, fix)
		assert.NotEmpty(t, r.text)
		assert.NotEmpty(t, r.heading)
		assert.LessOrEqual(t, len(fix), 80, fix)
		assert.NotRegexp(t, `\{[a-z]+\}`, fix)
		assert.NotRegexp(t, `\{[a-z]+\}`, f.expand(r.text))
		assert.True(t, r.kind == nil || known[r.kind])
		assert.NotRegexp(t, "Exception$", strings.Join(r.codes, "\n"))
		if own := r.heading == HeadingTokenMalformed; isSTS && !own && (r.codes != nil || r.phrases != nil) {
			u, err := url.Parse(r.source)
			assert.NoError(t, err)
			assert.Equal(t, "https", u.Scheme, "the source of %q", append(r.codes, r.phrases...))
		}
	}
	n := 0
	for _, table := range rules() {
		for _, r := range table {
			check(r, true)
			n++
		}
	}
	assert.Greater(t, n, 70)
	for _, r := range settingRules {
		check(r, false)
		assert.Equal(t, r.fix, Setting(r.heading, Facts{Err: errors.New(strings.Join(r.phrases, "")), Chained: r.only == chained, OwnRole: r.when != nil, OwnToken: r.when != nil, RegionSetting: map[bool]string{true: "Options.Region"}[r.when != nil]}).Fix)
	}
}
