package explain

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/irsakit/irsakit/internal/lazyregexp"
)

// STSAudience is the audience that a token must have, in every partition
// (amazon-eks-pod-identity-webhook, README).
const STSAudience = "sts.amazonaws.com"

// WithoutScheme returns the name that IAM has for an issuer: its URL without the scheme.
func WithoutScheme(issuer string) string {
	_, name, found := strings.Cut(issuer, "://")
	if !found {
		return issuer
	}
	return name
}

// ProviderARN returns the ARN that the token's OIDC provider must have in the role's account, or
// "" if the role ARN is invalid.
func (f Facts) ProviderARN() string {
	role, err := arn.Parse(f.RoleARN)
	if err != nil {
		return ""
	}
	role.Resource = "oidc-provider/" + WithoutScheme(f.Claims.Issuer)
	return role.String()
}

// OtherPartition returns the partition of the region if the role is in a different one, or "".
func (f Facts) OtherPartition() string {
	role, err := arn.Parse(f.RoleARN)
	home := partitionOf(f.Region)
	if err != nil || home == "" || home == role.Partition || !strings.HasPrefix(role.Partition, "aws") {
		return ""
	}
	return home
}

// partitionOf returns the partition of a region, determined by the prefix of its name, or "" if
// region is empty.
// https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
func partitionOf(region string) string {
	for _, p := range []struct{ prefix, partition string }{
		{"cn-", "aws-cn"}, {"us-gov-", "aws-us-gov"}, {"us-iso-", "aws-iso"}, {"us-isob-", "aws-iso-b"},
		{"eu-isoe-", "aws-iso-e"}, {"us-isof-", "aws-iso-f"}, {"eusc-", "aws-eusc"}, {"", "aws"},
	} {
		if region != "" && strings.HasPrefix(region, p.prefix) {
			return p.partition
		}
	}
	return ""
}

// audience returns the audience that STS compares: its own if the token has that or none,
// otherwise the token's first.
func (f Facts) audience() string {
	if len(f.Claims.Audience) == 0 || slices.Contains(f.Claims.Audience, STSAudience) {
		return STSAudience
	}
	return f.Claims.Audience[0]
}

// argument returns text derived from a claim for use as a command-line argument. Claims are
// unverified, so it returns "..." if text contains characters that a shell could interpret.
func argument(text string) string {
	if !plainArgument.MatchString(text) {
		return "..."
	}
	return text
}

var plainArgument = lazyregexp.New(`^[A-Za-z0-9._~/:=+@-]+$`)

// trustStatement returns the trust policy statement that allows the token, in one line of JSON.
func (f Facts) trustStatement() string {
	issuer := WithoutScheme(f.Claims.Issuer)
	equals := map[string]string{issuer + ":sub": f.Claims.Subject}
	conditions := map[string]map[string]string{"StringEquals": equals}
	if len(f.Claims.Audience) > 1 { // the condition key then has several values
		conditions["ForAnyValue:StringEquals"] = map[string]string{issuer + ":aud": f.audience()}
	} else {
		equals[issuer+":aud"] = f.audience()
	}
	statement := struct {
		Effect    string
		Principal struct{ Federated string }
		Action    string
		Condition map[string]map[string]string
	}{
		Effect:    "Allow",
		Action:    "sts:AssumeRoleWithWebIdentity",
		Condition: conditions,
	}
	statement.Principal.Federated = f.ProviderARN()
	text, _ := json.Marshal(statement) // cannot fail: it contains only strings
	return string(text)
}

// IsAWS reports whether the role is AWS's, and not that of another server with the same protocol.
func (f Facts) IsAWS() bool { return strings.HasPrefix(f.RoleARN, "arn:aws") }

// accessDeniedAdvice returns the advice for a token that the role does not trust.
func accessDeniedAdvice(f Facts) Advice {
	switch text := f.text(); {
	case strings.Contains(text, "endpoint policy"):
		return Advice{HeadingAccessDenied, "the policy of the VPC endpoint for STS has to allow sts:AssumeRoleWithWebIdentity, for the role and without a condition on the caller, who has no credentials yet"}
	case strings.Contains(text, "control policy"):
		return Advice{HeadingAccessDenied, "a policy of the organization denies it: ask who administers it"}
	case f.OtherPartition() != "":
		return Advice{HeadingRoleARN, fmt.Sprintf("the role is not in the partition of the region %s, which is %s: correct the role's ARN or the region", f.Region, f.OtherPartition())}
	case !f.IsAWS():
		return Advice{HeadingAccessDenied, "the server does not let this token assume the role: check its policies for the token's issuer, subject and audience"}
	default:
		return Advice{HeadingAccessDenied, "the role does not exist, or its trust policy does not allow this token, for which it needs the statement " + f.trustStatement()}
	}
}

// text returns the text of the cause, such as STS's message, or "" if there is none.
func (f Facts) text() string {
	if f.Err == nil {
		return ""
	}
	return f.Err.Error()
}

// invalidRequestAdvice returns the advice for a request with an invalid parameter.
func invalidRequestAdvice(f Facts) Advice {
	switch text := f.text(); {
	case f.Code == "RegionDisabledException":
		return Advice{HeadingRegionDisabled, fmt.Sprintf("activate STS in %s in the role's account (IAM, Account settings), or set AWS_REGION to a region where it is active", f.Region)}
	case f.Code == "MalformedPolicyDocument" || f.Code == "PackedPolicyTooLarge":
		return Advice{HeadingSessionPolicy, "correct or shorten Options.Policy and Options.PolicyARNs"}
	case strings.Contains(text, "1 hour session limit"):
		return Advice{HeadingSessionDuration, "where one role assumes another a session lasts an hour at most, whatever the role allows: leave the duration out"}
	case strings.Contains(text, "MaxSessionDuration"):
		return Advice{HeadingSessionDuration, fmt.Sprintf("ask for less with Options.Duration, or let the role give more: aws iam update-role --role-name %s --max-session-duration 43200", f.roleName())}
	case strings.Contains(text, "ARN is invalid") || strings.Contains(text, "'roleArn'"):
		return Advice{HeadingRoleARN, "correct AWS_ROLE_ARN, which comes from the service account's annotation eks.amazonaws.com/role-arn: it looks like arn:aws:iam::111122223333:role/name"}
	case strings.Contains(text, "'roleSessionName'"):
		return Advice{HeadingSettings, "correct AWS_ROLE_SESSION_NAME or Options.SessionName: 2 to 64 characters of A-Z a-z 0-9 _ + = , . @ -"}
	default:
		return Advice{HeadingInvalidRequest, "check the role's ARN, the session's name, duration and policies, and the region"}
	}
}

// isForeignCode reports whether STS never returns an error code for AssumeRoleWithWebIdentity, so
// that the response must be from another service.
func isForeignCode(code string) bool {
	switch code {
	case "InvalidAction", "MethodNotAllowed", "NoSuchVersion", "NoSuchBucket", "NotImplemented", "UnsupportedOperation",
		"UnknownOperationException", "UnrecognizedClientException", "MissingAuthenticationToken", "MissingAuthenticationTokenException":
		return true
	}
	return false
}

func (f Facts) roleName() string {
	return f.RoleARN[strings.LastIndex(f.RoleARN, "/")+1:]
}
