package irsa

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// stsAudience is what a token's audience has to be, in every partition
// (amazon-eks-pod-identity-webhook, README).
const stsAudience = "sts.amazonaws.com"

var (
	errNotSTS = errors.New("it is not from STS")
	errClock  = errors.New("check the node's clock")
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

// trustStatement is what a trust policy needs for the token, in one line of JSON.
func (e *Error) trustStatement() string {
	issuer := withoutScheme(e.Issuer)
	type conditions struct {
		StringEquals map[string]string
	}
	statement := struct {
		Effect    string
		Principal struct{ Federated string }
		Action    string
		Condition conditions
	}{
		Effect: "Allow",
		Action: "sts:AssumeRoleWithWebIdentity",
		Condition: conditions{map[string]string{
			issuer + ":sub": e.Subject,
			issuer + ":aud": strings.Join(e.Audience, ","),
		}},
	}
	statement.Principal.Federated = e.providerARN()
	text, _ := json.Marshal(statement) // it holds strings only
	return string(text)
}

// invalidRequestHint is for what STS does not grant to anybody.
func invalidRequestHint(e *Error) hint {
	text := ""
	if e.err != nil {
		text = e.err.Error()
	}
	switch {
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
	case notOfSTS(e.Code):
		return hint{headingNotSTS, "this is not the answer of STS: check the endpoint, and that AWS_ENDPOINT_URL_STS names STS and not another service"}
	default:
		return hint{headingInvalidRequest, "check the role's ARN, the session's name, duration and policies, and the region"}
	}
}

// notOfSTS says of an error code that STS does not give it to a request for
// AssumeRoleWithWebIdentity: other services do.
func notOfSTS(code string) bool {
	switch code {
	case "InvalidAction", "MethodNotAllowed", "NoSuchVersion", "NoSuchBucket", "NotImplemented", "UnsupportedOperation",
		"UnknownOperationException", "UnrecognizedClientException", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
		unknownCode:
		return true
	}
	return false
}

func (e *Error) roleName() string {
	return e.RoleARN[strings.LastIndex(e.RoleARN, "/")+1:]
}
