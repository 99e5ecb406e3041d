package irsatest_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// The condition key tests cover every key listed in the documentation of TrustPolicy. With its actual
// value the call is allowed, and with any other value it is rejected.
func TestTrustPolicyConditionKeysOfWebIdentity(t *testing.T) {
	w := inMemory(t)
	issuer := strings.TrimPrefix(w.Issuer.URL(), "https://")
	principal := `{"Federated": "arn:aws:iam::111122223333:oidc-provider/` + issuer + `"}`
	w.pod.Rotate(irsatest.Claim("amr", "pod"), irsatest.Claim("https://aws.amazon.com/source_identity", "cart"),
		irsatest.Claim("https://aws.amazon.com/tags", map[string]any{"principal_tags": map[string]any{"team": []string{"blue"}}, "transitive_tag_keys": []string{"team"}}))
	for key, value := range map[string]string{
		issuer + ":sub": w.sa.Subject(), issuer + ":aud": "sts.amazonaws.com", issuer + ":amr": "pod",
		"sts:RoleSessionName": "session", "sts:SourceIdentity": "cart", "sts:TransitiveTagKeys": "team", "aws:TagKeys": "team", "aws:RequestTag/team": "blue",
		"aws:RequestedRegion": "us-west-2", "aws:SecureTransport": "true", "aws:PrincipalIsAWSService": "false", "aws:ViaAWSService": "false",
		"aws:FederatedProvider": "arn:aws:iam::111122223333:oidc-provider/" + issuer,
	} {
		requireEvaluated(t, w.role, principal, key, value, func() error {
			_, err := w.assume(t.Context())
			return err
		})
	}
}

func TestTrustPolicyUsesSTSClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t) // a bubble's clock starts in 2000
		trust := w.role.TrustPolicy()
		for _, tt := range []struct {
			condition string
			skew      time.Duration
			want      bool
		}{
			{`"DateLessThan": {"aws:CurrentTime": "2000-01-01T00:10:00Z"}`, 0, true},
			{`"DateLessThan": {"aws:CurrentTime": "2000-01-01T00:10:00Z"}`, time.Hour, false},
			{`"NumericGreaterThan": {"aws:EpochTime": 946685400}`, 0, false},
			{`"NumericGreaterThan": {"aws:EpochTime": 946685400}`, time.Hour, true},
		} {
			w.STS.SetClockSkew(tt.skew)
			w.role.SetTrustPolicy(strings.Replace(trust, `"Condition": {`, `"Condition": {`+tt.condition+`,`, 1))
			_, err := w.assume(t.Context())
			if tt.want {
				require.NoError(t, err, tt.condition)
			} else {
				requireRejection(t, err, "AccessDenied", 403)
			}
		}
	})
}

func TestTrustPolicyConditionKeysOfRoleChain(t *testing.T) {
	w := inMemory(t)
	issuer := strings.TrimPrefix(w.Issuer.URL(), "https://")
	w.role.SetTrustPolicy(strings.Replace(w.role.TrustPolicy(), `"sts:AssumeRoleWithWebIdentity"`, `["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"]`, 1))
	w.pod.Rotate(irsatest.Claim("https://aws.amazon.com/source_identity", "cart"),
		irsatest.Claim("https://aws.amazon.com/tags", map[string]any{"principal_tags": map[string]any{"team": []string{"blue"}}}))
	second := w.Role("second")
	identity, err := w.signed().GetCallerIdentity(t.Context(), nil)
	require.NoError(t, err)
	principal := `{"AWS": "` + w.role.ARN() + `"}`
	for key, value := range map[string]string{
		"aws:PrincipalArn": w.role.ARN(), "aws:PrincipalAccount": "111122223333", "aws:PrincipalType": "AssumedRole", "aws:userid": *identity.UserId,
		"aws:PrincipalTag/team": "blue", "aws:SourceIdentity": "cart", "aws:FederatedProvider": "arn:aws:iam::111122223333:oidc-provider/" + issuer,
		"sts:ExternalId": "12345", "sts:RoleSessionName": "second", "aws:RequestTag/stage": "prod", "aws:TagKeys": "stage", "sts:TransitiveTagKeys": "stage",
		issuer + ":sub": w.sa.Subject(), issuer + ":aud": "sts.amazonaws.com", "aws:RequestedRegion": "us-west-2",
	} {
		requireEvaluated(t, second, principal, key, value, func() error {
			_, err := w.assumeRole(t.Context(), second, func(in *sts.AssumeRoleInput) {
				in.ExternalId = aws.String("12345")
				in.Tags = []types.Tag{{Key: aws.String("stage"), Value: aws.String("prod")}}
				in.TransitiveTagKeys = []string{"stage"}
			})
			return err
		})
	}
}

// requireEvaluated requires that a condition on the key decides the evaluation of the role's trust
// policy: the call succeeds if the value matches, and is rejected otherwise.
func requireEvaluated(t *testing.T, role *irsatest.Role, principal, key, value string, assume func() error) {
	t.Helper()
	operator := "StringEquals"
	if strings.HasSuffix(key, "Keys") {
		operator = "ForAnyValue:StringEquals"
	}
	expect := func(value string) {
		role.SetTrustPolicy(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": ` + principal + `,
			"Action": ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"],
			"Condition": {"` + operator + `": {"` + key + `": "` + value + `"}}}}`)
	}
	expect(value)
	require.NoError(t, assume(), key)
	expect("another")
	requireRejection(t, assume(), "AccessDenied", 403)
}

func TestSTSReportsFirstRejection(t *testing.T) {
	w := inMemory(t)
	answer := func(options ...func(*irsatest.TokenOptions)) string {
		w.pod.Rotate(options...)
		_, err := w.assume(t.Context())
		require.Error(t, err)
		calls := w.STS.Calls()
		return calls[len(calls)-1].Err + " " + calls[len(calls)-1].Reason
	}
	vault := irsatest.Claim("aud", "vault")
	assert.Contains(t, answer(irsatest.Invalid("other issuer"), irsatest.Invalid("unknown key")), "has no OIDC provider")
	assert.Contains(t, answer(irsatest.Invalid("unknown key"), irsatest.Invalid("expired")), "does not publish the key")
	assert.Contains(t, answer(irsatest.Invalid("bad signature"), irsatest.Invalid("expired")), "InvalidIdentityToken")
	assert.Contains(t, answer(irsatest.Invalid("expired"), vault), "ExpiredTokenException")
	w.Role("s3-writer") // does not trust any principal
	assert.Contains(t, answer(vault), "the token's audience is")
	assert.Contains(t, answer(), "AccessDenied")
}

func TestRoleMaxSessionDurationAllowsLongSession(t *testing.T) {
	w := inMemory(t)
	role := w.Role("long", irsatest.Trust(w.sa), irsatest.MaxSessionDuration(12*time.Hour))
	out, err := w.assume(t.Context(), func(in *sts.AssumeRoleWithWebIdentityInput) {
		in.RoleArn, in.DurationSeconds = aws.String(role.ARN()), aws.Int32(12*3600)
	})
	require.NoError(t, err)
	assert.InDelta(t, 12*time.Hour, time.Until(*out.Credentials.Expiration), float64(2*time.Second))
}

func TestSTSSessionExpiryUsesSTSClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		creds := w.retrieve(t.Context(), t)
		same := func(o *sts.Options) {
			o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return creds, nil })
		}
		w.STS.SetClockSkew(-2 * time.Minute) // less than the five minutes by which a signature's date may be off
		time.Sleep(time.Hour + time.Minute)
		_, err := w.signed(same).GetCallerIdentity(t.Context(), nil)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		_, err = w.signed(same).GetCallerIdentity(t.Context(), nil)
		requireRejection(t, err, "ExpiredToken", 403)
	})
}

func TestSTSReplyContainsRegisteredAudience(t *testing.T) {
	w := inMemory(t)
	w.role.SetTrustPolicy(strings.Replace(w.role.TrustPolicy(), "StringEquals", "ForAnyValue:StringEquals", 1))
	w.pod.Rotate(irsatest.Claim("aud", []string{"vault", "sts.amazonaws.com"}))
	out, err := w.assume(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "sts.amazonaws.com", *out.Audience)
}

func TestRoleFailMessageMatchesAction(t *testing.T) {
	w := inMemory(t)
	second := w.Role("second", irsatest.Trust(w.role))
	second.Fail(irsatest.AccessDenied, 1)
	_, err := w.assumeRole(t.Context(), second)
	assert.Contains(t, requireRejection(t, err, "AccessDenied", 403), "is not authorized to perform: sts:AssumeRole on resource: "+second.ARN())
	second.Fail(irsatest.ExpiredToken, 1)
	_, err = w.assumeRole(t.Context(), second)
	requireRejection(t, err, "ExpiredToken", 403)
	_, err = w.assumeRole(t.Context(), second)
	require.NoError(t, err)
}

func TestTrustPolicyKeysOfOtherCallersHaveNoValue(t *testing.T) {
	w := inMemory(t)
	trust := w.role.TrustPolicy()
	for _, key := range []string{"saml:aud", "ec2:SourceInstanceARN", "accounts.google.com:aud", "aws:username"} {
		for absent, want := range map[string]bool{"true": true, "false": false} {
			w.role.SetTrustPolicy(strings.Replace(trust, `"Condition": {`, `"Condition": {"Null": {"`+key+`": "`+absent+`"},`, 1))
			_, err := w.assume(t.Context())
			assert.Equal(t, want, err == nil, "%s: %v", key, err)
		}
	}
}

func TestTrustPolicyRequestedRegionOnLoopback(t *testing.T) {
	w := onLoopback(t)
	w.pod = w.Pod(w.sa, w.role, func(o *irsatest.PodOptions) { o.Region = "eu-west-1" })
	condition := func(region string) {
		w.role.SetTrustPolicy(strings.Replace(w.Role("trust", irsatest.Trust(w.sa)).TrustPolicy(), `"Condition": {`, `"Condition": {"StringLike": {"aws:RequestedRegion": "`+region+`"},`, 1))
	}
	condition("eu-west-1")
	_, err := w.assume(t.Context()) // not signed
	requireRejection(t, err, "AccessDenied", 403)
	condition("us-west-2")
	_, err = w.assume(t.Context())
	require.NoError(t, err)

	second := w.Role("second", irsatest.TrustPolicy(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": "`+w.role.ARN()+`"}, "Action": "sts:AssumeRole",
		"Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}}}`))
	_, err = w.assumeRole(t.Context(), second)
	require.NoError(t, err)
}
