package irsa

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// stsAudience is what a token's audience has to be, in every partition
// (amazon-eks-pod-identity-webhook, README).
const stsAudience = "sts.amazonaws.com"

var (
	errNotSTS   = errors.New("it is not from STS")
	errClock    = errors.New("check the node's clock")
	errNoRegion = errors.New("the client of Options.STS has no region")
)

// withoutScheme is how IAM names an issuer.
func withoutScheme(issuer string) string {
	_, name, found := strings.Cut(issuer, "://")
	if !found {
		return issuer
	}
	return name
}

// providerARN is the ARN that the token's OIDC provider has, or should have, in the
// role's account.
func (e *Error) providerARN() string {
	role, err := arn.Parse(e.RoleARN)
	if err != nil {
		return ""
	}
	role.Resource = "oidc-provider/" + withoutScheme(e.Issuer)
	return role.String()
}

// otherPartition is that of the region, where the role is in another one; else "".
func (e *Error) otherPartition() string {
	role, err := arn.Parse(e.RoleARN)
	home := partitionOf(e.Region)
	if err != nil || home == "" || home == role.Partition || !strings.HasPrefix(role.Partition, "aws") {
		return ""
	}
	return home
}

// partitionOf is the partition of a region, by the beginning of its name; "" for none.
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

// audience is the one that counts of the token's: STS's, if it is among them.
func (e *Error) audience() string {
	if len(e.Audience) == 0 || slices.Contains(e.Audience, stsAudience) {
		return stsAudience
	}
	return e.Audience[0]
}

// argument is a claim, or what is made of it, as an argument of a command. Nobody has
// verified it: what is no plain text is not repeated.
func argument(text string) string {
	if !plainArgument.MatchString(text) {
		return "..."
	}
	return text
}

var plainArgument = regexp.MustCompile(`^[A-Za-z0-9._~/:=+@-]+$`)

// trustStatement is what a trust policy needs for the token, in one line of JSON.
func (e *Error) trustStatement() string {
	issuer := withoutScheme(e.Issuer)
	equals := map[string]string{issuer + ":sub": e.Subject}
	conditions := map[string]map[string]string{"StringEquals": equals}
	if len(e.Audience) > 1 { // the key has several values then
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
	text, _ := json.Marshal(statement) // it holds strings only
	return string(text)
}

// isAWS says whether the role is one of AWS, and not of a server with the same protocol.
func (e *Error) isAWS() bool { return strings.HasPrefix(e.RoleARN, "arn:aws") }

// accessDeniedHint is for a token that the role does not trust, or seems not to.
func accessDeniedHint(e *Error) hint {
	switch text := e.text(); {
	case strings.Contains(text, "endpoint policy"):
		return hint{headingAccessDenied, "the policy of the VPC endpoint for STS has to allow sts:AssumeRoleWithWebIdentity, for the role and without a condition on the caller, who has no credentials yet"}
	case strings.Contains(text, "control policy"):
		return hint{headingAccessDenied, "a policy of the organization denies it: ask who administers it"}
	case e.otherPartition() != "":
		return hint{headingRoleARN, fmt.Sprintf("the role is not in the partition of the region %s, which is %s: correct the role's ARN or the region", e.Region, e.otherPartition())}
	case !e.isAWS():
		return hint{headingAccessDenied, "the server does not let this token assume the role: check its policies for the token's issuer, subject and audience"}
	default:
		return hint{headingAccessDenied, "the role does not exist, or its trust policy does not allow this token, for which it needs the statement " + e.trustStatement()}
	}
}

// text is what STS, or the network, said.
func (e *Error) text() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

// invalidRequestHint is for what STS does not grant to anybody.
func invalidRequestHint(e *Error) hint {
	switch text := e.text(); {
	case e.Code == "RegionDisabledException":
		return hint{headingRegionDisabled, fmt.Sprintf("activate STS in %s in the role's account (IAM, Account settings), or set AWS_REGION to a region where it is active", e.Region)}
	case e.Code == "MalformedPolicyDocument" || e.Code == "PackedPolicyTooLarge":
		return hint{headingSessionPolicy, "correct or shorten Options.Policy and Options.PolicyARNs"}
	case strings.Contains(text, "1 hour session limit"):
		return hint{headingSessionDuration, "where one role assumes another a session lasts an hour at most, whatever the role allows: leave the duration out"}
	case strings.Contains(text, "MaxSessionDuration"):
		return hint{headingSessionDuration, fmt.Sprintf("ask for less with Options.Duration, or let the role give more: aws iam update-role --role-name %s --max-session-duration 43200", e.roleName())}
	case strings.Contains(text, "ARN is invalid") || strings.Contains(text, "'roleArn'"):
		return hint{headingRoleARN, "correct AWS_ROLE_ARN, which comes from the service account's annotation eks.amazonaws.com/role-arn: it looks like arn:aws:iam::111122223333:role/name"}
	case strings.Contains(text, "'roleSessionName'"):
		return hint{headingSettings, "correct AWS_ROLE_SESSION_NAME or Options.SessionName: 2 to 64 characters of A-Z a-z 0-9 _ + = , . @ -"}
	default:
		return hint{headingInvalidRequest, "check the role's ARN, the session's name, duration and policies, and the region"}
	}
}

// notOfSTS says of an error code that STS does not give it to a request for
// AssumeRoleWithWebIdentity: other services do.
func notOfSTS(code string) bool {
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
