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

// checkAssumed returns the account in a response, or an error if the response is for a role other
// than the requested one. Servers other than AWS use ARNs of another partition or form, or return
// none. Therefore only ARNs of AWS's form are compared: the account, and the name without its path.
// Role names are compared regardless of case, because they are unique regardless of case.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
func (r *response) checkAssumed(roleARN string, user *types.AssumedRoleUser) (account string, err error) {
	role, _ := arn.Parse(roleARN) // has been validated
	if !strings.HasPrefix(role.Partition, "aws") || user == nil {
		return "", nil
	}
	account, name, ok := assumedRole(aws.ToString(user.Arn))
	requested := role.Resource[strings.LastIndex(role.Resource, "/")+1:]
	if !ok || account == role.AccountID && strings.EqualFold(name, requested) {
		return account, nil
	}
	return "", fmt.Errorf("the response is for another role, %s in account %s: %w", explain.Quote(r.secrets.redact(name)), account, explain.ErrNotSTS)
}

// assumedRole returns the account and the name in
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
