package irsa

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/irsakit/irsakit/internal/lazyregexp"
)

// stsAudience is the audience that a token must have, in every partition
// (amazon-eks-pod-identity-webhook, README).
const stsAudience = "sts.amazonaws.com"

var (
	errNotSTS   = errors.New("it is not from STS")
	errClock    = errors.New("check the node's clock")
	errNoRegion = errors.New("the client of Options.STS has no region")
)

// withoutScheme returns the name that IAM has for an issuer: its URL without the scheme.
func withoutScheme(issuer string) string {
	_, name, found := strings.Cut(issuer, "://")
	if !found {
		return issuer
	}
	return name
}

// providerARN returns the ARN that the token's OIDC provider must have in the role's account, or
// "" if the role ARN is invalid.
func (e *Error) providerARN() string {
	role, err := arn.Parse(e.RoleARN)
	if err != nil {
		return ""
	}
	role.Resource = "oidc-provider/" + withoutScheme(e.Issuer)
	return role.String()
}

// otherPartition returns the partition of the region if the role is in a different one, or "".
func (e *Error) otherPartition() string {
	role, err := arn.Parse(e.RoleARN)
	home := partitionOf(e.Region)
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
func (e *Error) audience() string {
	if len(e.Audience) == 0 || slices.Contains(e.Audience, stsAudience) {
		return stsAudience
	}
	return e.Audience[0]
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
func (e *Error) trustStatement() string {
	issuer := withoutScheme(e.Issuer)
	equals := map[string]string{issuer + ":sub": e.Subject}
	conditions := map[string]map[string]string{"StringEquals": equals}
	if len(e.Audience) > 1 { // the condition key then has several values
		conditions["ForAnyValue:StringEquals"] = map[string]string{issuer + ":aud": e.audience()}
	} else {
		equals[issuer+":aud"] = e.audience()
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
	statement.Principal.Federated = e.providerARN()
	text, _ := json.Marshal(statement) // cannot fail: it contains only strings
	return string(text)
}

// isAWS reports whether the role is AWS's, and not that of another server with the same protocol.
func (e *Error) isAWS() bool { return strings.HasPrefix(e.RoleARN, "arn:aws") }

// accessDeniedAdvice returns the advice for a token that the role does not trust.
func accessDeniedAdvice(e *Error) advice {
	switch text := e.text(); {
	case strings.Contains(text, "endpoint policy"):
		return advice{headingAccessDenied, "the policy of the VPC endpoint for STS has to allow sts:AssumeRoleWithWebIdentity, for the role and without a condition on the caller, who has no credentials yet"}
	case strings.Contains(text, "control policy"):
		return advice{headingAccessDenied, "a policy of the organization denies it: ask who administers it"}
	case e.otherPartition() != "":
		return advice{headingRoleARN, fmt.Sprintf("the role is not in the partition of the region %s, which is %s: correct the role's ARN or the region", e.Region, e.otherPartition())}
	case !e.isAWS():
		return advice{headingAccessDenied, "the server does not let this token assume the role: check its policies for the token's issuer, subject and audience"}
	default:
		return advice{headingAccessDenied, "the role does not exist, or its trust policy does not allow this token, for which it needs the statement " + e.trustStatement()}
	}
}

// text returns the text of the cause, such as STS's message, or "" if there is none.
func (e *Error) text() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

// invalidRequestAdvice returns the advice for a request with an invalid parameter.
func invalidRequestAdvice(e *Error) advice {
	switch text := e.text(); {
	case e.Code == "RegionDisabledException":
		return advice{headingRegionDisabled, fmt.Sprintf("activate STS in %s in the role's account (IAM, Account settings), or set AWS_REGION to a region where it is active", e.Region)}
	case e.Code == "MalformedPolicyDocument" || e.Code == "PackedPolicyTooLarge":
		return advice{headingSessionPolicy, "correct or shorten Options.Policy and Options.PolicyARNs"}
	case strings.Contains(text, "1 hour session limit"):
		return advice{headingSessionDuration, "where one role assumes another a session lasts an hour at most, whatever the role allows: leave the duration out"}
	case strings.Contains(text, "MaxSessionDuration"):
		return advice{headingSessionDuration, fmt.Sprintf("ask for less with Options.Duration, or let the role give more: aws iam update-role --role-name %s --max-session-duration 43200", e.roleName())}
	case strings.Contains(text, "ARN is invalid") || strings.Contains(text, "'roleArn'"):
		return advice{headingRoleARN, "correct AWS_ROLE_ARN, which comes from the service account's annotation eks.amazonaws.com/role-arn: it looks like arn:aws:iam::111122223333:role/name"}
	case strings.Contains(text, "'roleSessionName'"):
		return advice{headingSettings, "correct AWS_ROLE_SESSION_NAME or Options.SessionName: 2 to 64 characters of A-Z a-z 0-9 _ + = , . @ -"}
	default:
		return advice{headingInvalidRequest, "check the role's ARN, the session's name, duration and policies, and the region"}
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

func (e *Error) roleName() string {
	return e.RoleARN[strings.LastIndex(e.RoleARN, "/")+1:]
}
