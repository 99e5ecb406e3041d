package exchange

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
)

// checkAssumed returns the account in a response, or an error if the response is for a different role
// than requested. It compares the account and the role's name without the path, ignoring case because
// IAM does not allow names that differ only by case. Servers other than AWS may return any ARN or
// none at all, so only ARNs in AWS's form are compared.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
func (r *response) checkAssumed(roleARN string, user *types.AssumedRoleUser) (account string, err error) {
	role, _ := arn.Parse(roleARN) // already validated
	if !strings.HasPrefix(role.Partition, "aws") || user == nil {
		return "", nil
	}
	account, name, ok := assumedRole(strings.TrimSpace(aws.ToString(user.Arn)))
	requested := role.Resource[strings.LastIndex(role.Resource, "/")+1:]
	if !ok || account == role.AccountID && strings.EqualFold(name, requested) {
		return account, nil
	}
	return "", fmt.Errorf("the response is for another role, %s in account %s: %w", explain.Quote(r.secrets.redact(name)), account, explain.ErrNotSTS)
}

// assumedRole returns the account and role name in
// arn:...:sts::<account>:assumed-role/<name>/<session>.
func assumedRole(text string) (account, name string, ok bool) {
	parsed, err := arn.Parse(text)
	if err != nil || parsed.Service != "sts" || parsed.Region != "" || !config.IsAccountID(parsed.AccountID) {
		return "", "", false
	}
	parts := strings.Split(parsed.Resource, "/")
	if len(parts) != 3 || parts[0] != "assumed-role" || parts[1] == "" || parts[2] == "" {
		return "", "", false
	}
	return parsed.AccountID, parts[1], true
}
