package explain

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/tokenfile"
)

// TestRuleForTokenFitsToken checks the advice for rejected tokens that do not come from a file, or
// that lack a claim that other advice refers to.
func TestRuleForTokenFitsToken(t *testing.T) {
	function := func(f *Facts) { f.TokenFile = "" }
	audiences := func(all ...string) func(*Facts) { return func(f *Facts) { f.Claims.Audience = all } }
	none := func(f *Facts) { f.Claims.Expiry = time.Time{} }
	const audience, missing, noProvider = "Incorrect token audience", "Missing a required claim: sub", "No OpenIDConnect provider found in your account for https://x"
	for _, tt := range []struct {
		name    string
		facts   Facts
		heading Heading
		want    string
		not     []string
	}{
		{"audience of a function", respond("InvalidIdentityToken", audience, "", function, audiences("vault")), HeadingAudience,
			`is for "vault"`, []string{"annotation", "recreate", "AWS_WEB_IDENTITY_TOKEN_FILE"}},
		{"API server's token of a function", respond("InvalidIdentityToken", audience, "", function, audiences("https://kubernetes.default.svc")), HeadingAudience,
			"the Kubernetes API server", []string{"AWS_WEB_IDENTITY_TOKEN_FILE", "webhook mounts", "mount the"}},
		{"Pod Identity's token", respond("InvalidIdentityToken", audience, "", audiences("pods.eks.amazonaws.com")), HeadingAudience,
			"that of EKS Pod Identity", []string{"eks.amazonaws.com/audience", "client-id"}},
		{"Pod Identity's token without a provider", respond("InvalidIdentityToken", noProvider, "", audiences("pods.eks.amazonaws.com")), HeadingAudience,
			"config.LoadDefaultConfig", []string{"create-open-id"}},
		{"Pod Identity's token, accepted by the provider", respond("AccessDenied", "Not authorized", "", audiences("pods.eks.amazonaws.com")), HeadingAccessDenied,
			`aud":"pods.eks.amazonaws.com"`, []string{"LoadDefaultConfig"}},
		{"shared key", respond("InvalidIdentityToken", "The ID Token provided is not a valid JWT.", "", func(f *Facts) { f.Algorithm = "HS256" }), HeadingTokenRejected,
			`signed with "HS256"`, []string{"recreate", "jwks_uri"}},
		{"no algorithm", respond("InvalidIdentityToken", "The ID Token provided is not a valid JWT.", ""), HeadingTokenRejected, "does not accept the token", nil},
		{"algorithm that STS accepts", respond("InvalidIdentityToken", audience, "", func(f *Facts) { f.Algorithm = "ES512" }), HeadingAudience, "add-client-id", nil},
		{"no audience", respond("InvalidIdentityToken", audience, "", audiences()), HeadingAudience, "has no audience", []string{"client-id", "client ID"}},
		{"missing claim", respond("InvalidIdentityToken", missing, ""), HeadingTokenRejected, "lacks a claim", []string{"jwks_uri", "recreate"}},
		{"missing claim of a function", respond("InvalidIdentityToken", missing, "", function), HeadingTokenRejected, "Options.Token lacks a claim", []string{"AWS_WEB_IDENTITY_TOKEN_FILE", "publishes"}},
		{"expired without an expiry", respond("ExpiredTokenException", "", "", none), HeadingTokenRejected, "has no expiry", []string{"0001-01-01", "kubelet"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := For(tt.facts)
			assert.Equal(t, tt.heading, a.Heading)
			assert.Contains(t, a.Text, tt.want)
			for _, text := range tt.not {
				assert.NotContains(t, a.Fix+"\n"+a.Text, text)
			}
		})
	}
}

// TestRuleForTokenWithoutPodAsksForNewToken checks the advice for a token from kubectl create token,
// which neither the webhook nor the kubelet replaces.
func TestRuleForTokenWithoutPodAsksForNewToken(t *testing.T) {
	unbound := func(f *Facts) { f.Claims.Namespace, f.Claims.ServiceAccount = "shop", "cart" }
	audiences := func(all ...string) func(*Facts) { return func(f *Facts) { f.Claims.Audience = all } }
	expired := func(f *Facts) { f.Claims.Expiry = f.Now.Add(-time.Hour) }
	regular := func(f *Facts) { f.File.NeverRenewed = true }
	const command = "write a new token into the file (kubectl create token cart --audience sts.amazonaws.com --namespace shop)"
	for _, tt := range []struct {
		name    string
		facts   Facts
		heading Heading
		want    string
	}{
		{"expired", respond("ExpiredTokenException", "", "", unbound, expired, regular), HeadingTokenNotRenewed, command},
		{"expired behind a link", respond("ExpiredTokenException", "", "", unbound, expired), HeadingTokenNotRenewed, command},
		{"for the API server", respond("InvalidIdentityToken", "Incorrect token audience", "", unbound, audiences("https://kubernetes.default.svc")), HeadingAudience, command},
		{"for another service", respond("InvalidIdentityToken", "Incorrect token audience", "", unbound, audiences("vault")), HeadingAudience, command},
		{"rejected", respond("InvalidIdentityToken", "", "", unbound), HeadingTokenRejected, command},
		{"rejected, with another client ID", respond("InvalidIdentityToken", "", "", unbound, audiences("vault")), HeadingTokenRejected, "--audience vault "},
		{"rejected by the issuer", respond("IDPRejectedClaim", "", "", unbound), HeadingTokenRejected, command},
		{"key replaced", respond("InvalidIdentityToken", "Couldn't retrieve verification key", "", unbound), HeadingVerificationKey, command},
		{"not yet valid", respond("InvalidIdentityToken", "The token is not yet valid", "", unbound), HeadingClock, command},
		{"issued in the future", respond("InvalidIdentityToken", "", "", unbound, func(f *Facts) { f.Claims.IssuedAt = f.Now.Add(time.Hour) }), HeadingClock, command},
		{"hostile name", respond("InvalidIdentityToken", "", "", unbound, func(f *Facts) { f.Claims.ServiceAccount = "cart;id" }), HeadingTokenRejected, "write a new token into the file. "},
		{"denied", respond("AccessDenied", "", "", unbound), HeadingAccessDenied, "If the ARN is wrong, correct AWS_ROLE_ARN. "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := For(tt.facts)
			assert.Equal(t, tt.heading, a.Heading)
			assert.Contains(t, a.Text, tt.want)
			assert.NotRegexp(t, "recreate|subPath|annotat|kubelet of this node|;id", a.Fix+"\n"+a.Text)
			bound := tt.facts
			bound.Claims.Pod = "cart-1"
			assert.NotContains(t, For(bound).Text, "create token")
		})
	}
}

// TestRuleForClocksIsFeasible checks that advice about clocks asks only for changes that the user can
// make, and that it does not blame the node's clock if a token source caches tokens.
func TestRuleForClocksIsFeasible(t *testing.T) {
	eks := func(f *Facts) { f.Claims.Issuer = "https://oidc.eks.us-west-2.amazonaws.com/id/A" }
	for _, f := range []Facts{
		respond("InvalidIdentityToken", "The token is not yet valid", "", eks),
		respond("InvalidIdentityToken", "", "", eks, func(f *Facts) { f.Claims.IssuedAt = f.Now.Add(90 * time.Second) }),
	} {
		a := For(f)
		assert.Equal(t, HeadingClock, a.Heading)
		assert.Contains(t, a.Text, "AWS runs the API server")
	}
	function := func(f *Facts) { f.TokenFile = "" }
	assert.Equal(t, HeadingClock, For(respond("ExpiredTokenException", "", "", function)).Heading, "valid by this clock")
	assert.Equal(t, HeadingTokenSource, For(respond("ExpiredTokenException", "", "", function, func(f *Facts) { f.Claims.Expiry = f.Now.Add(-time.Hour) })).Heading)
	assert.Equal(t, HeadingTokenSource, For(respond("ExpiredTokenException", "", "", function, func(f *Facts) { f.Claims.Expiry = time.Time{} })).Heading)
}

// TestRuleForPermissionSuggestsFSGroupOnlyForVolumes checks that the advice asks for an fsGroup only
// if the kubelet would apply it to the file.
func TestRuleForPermissionSuggestsFSGroupOnlyForVolumes(t *testing.T) {
	f := Facts{Kind: ErrTokenFile, Err: fs.ErrPermission, TokenFile: "/token", File: File{Visible: true, Mode: 0o600, Owner: &Owner{}, User: 1000, Group: 1000}}
	assert.Contains(t, For(f).Fix, "fsGroup")
	f.File.NeverRenewed = true
	assert.Contains(t, For(f).Text, "If it is a file of a projected volume, mounted with subPath, set securityContext.fsGroup")
	assert.Contains(t, For(f).Text, "Otherwise let the program that writes it make it readable")
	assert.NotContains(t, For(f).Fix, "set securityContext.fsGroup in the pod")
	f.File = File{User: 1000, Group: 1000}
	assert.NotContains(t, For(f).Fix+For(f).Text, "fsGroup", "the kubelet makes the directories of volumes accessible to all")
	assert.Contains(t, For(f).Text, "mode of the directories above")
}

func TestRuleForPermissionOnWindowsOmitsUnixAdvice(t *testing.T) {
	for _, file := range []File{{Visible: true, Mode: 0o666, User: -1, Group: -1}, {User: -1, Group: -1}} {
		a := For(Facts{Kind: ErrTokenFile, Err: fs.ErrPermission, TokenFile: `C:\token`, File: file})
		assert.Equal(t, HeadingTokenPermission, a.Heading)
		assert.Contains(t, a.Text, "runAsUserName")
		assert.NotRegexp(t, "fsGroup|SELinux|user -1|mode", a.Fix+a.Text)
		assert.NotContains(t, file.Access(), "user -1")
	}
}

func TestRuleForTokenFileDistinguishesSizes(t *testing.T) {
	for size, fix := range map[int]string{0: "which program writes it", 3: "which program writes it", 20_001: "shorten the token"} {
		_, err := tokenfile.Parse(strings.Repeat("x", size))
		assert.Contains(t, For(Facts{Kind: ErrTokenFile, Err: err, TokenFile: "/token"}).Fix, fix, size)
	}
}
