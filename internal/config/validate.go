package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/irsakit/irsakit/internal/explain"
)

// Limits on settings.
const (
	// Maximum lengths in characters and maximum numbers of policies, from the
	// AssumeRoleWithWebIdentity and AssumeRole references of the AWS STS API.
	MaxARN         = 2048
	MaxSessionName = 64
	maxPolicies    = 2048
	maxPolicyARNs  = 10

	MaxTags        = 50        // session tags, and transitive tag keys
	MaxChain       = 16        // maximum number of roles in a role chain of a Pool
	MaxChainedRole = 128 << 10 // maximum size of the options in bytes; exceeds anything STS accepts

	maxAppID    = 255     // AWS recommends at most 50
	maxEndpoint = 2048    // servers reject longer URLs
	MaxRegion   = 63      // maximum length of a label in a domain name
	MaxIdentity = 4 << 10 // maximum length of a token source's identity, and of a path (PATH_MAX on Linux)
)

// IsAbsolute reports whether path is absolute. On Windows, it also accepts paths without a drive, as
// set by the webhook.
func IsAbsolute(path string) bool { return filepath.IsAbs(path) || strings.HasPrefix(path, "/") }

// validateRoleARN checks the format of a role ARN. It accepts ARNs from all partitions and from MinIO.
// For AWS, it checks the format that the webhook only warns about (amazon-eks-pod-identity-webhook,
// pkg/cache/cache.go). It rejects wildcards and policy variables even though IAM allows them in a
// path. Otherwise, policies recommended in advice would match other roles too.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
func validateRoleARN(role string) error {
	if len(role) > MaxARN {
		return fmt.Errorf("the role ARN has %d characters; STS accepts 20 to %d", len(role), MaxARN)
	}
	parsed, err := arn.Parse(role)
	isAWS, name := strings.HasPrefix(parsed.Partition, "aws"), parsed.Resource[strings.LastIndex(parsed.Resource, "/")+1:]
	switch {
	case err != nil || parsed.Partition == "" || parsed.Service != "iam" || isAWS && parsed.Region != "" ||
		!strings.HasPrefix(parsed.Resource, "role/") || name == "":
		return fmt.Errorf("%s is not the ARN of an IAM role", explain.Quote(role))
	case len(role) < 20:
		return fmt.Errorf("the role ARN has %d characters; STS accepts 20 to %d", len(role), MaxARN)
	case isAWS && (strings.ContainsAny(role, "*?") || strings.Contains(role, "${")):
		return fmt.Errorf("the role ARN %s has a wildcard or a policy variable", explain.Quote(role))
	case !isPrintable(role), isAWS && !isName(name):
		return fmt.Errorf("the role ARN %s contains invalid characters", explain.Quote(role))
	case isAWS && !IsAccountID(parsed.AccountID):
		return fmt.Errorf("the role ARN %s has no account ID of 12 digits", explain.Quote(role))
	default:
		return nil
	}
}

// isPrintable reports whether text consists only of visible ASCII characters.
func isPrintable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < '!' || r > '~' })
}

// IsAccountID reports whether text is a 12-digit AWS account ID.
func IsAccountID(text string) bool {
	return len(text) == 12 && !strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}

// isRegionName reports whether text can be the name of a region, which must be a valid domain name
// label.
func isRegionName(text string) bool {
	return text != "" && len(text) <= MaxRegion && text[0] != '-' && text[len(text)-1] != '-' && consistsOf(text, "-")
}

// isName reports whether text consists only of characters that IAM allows in role names, which are the
// same as in session names.
func isName(text string) bool { return consistsOf(text, sessionNameSymbols) }

// isIdentifier reports whether text consists of 2 to longest ASCII letters, digits and symbols.
func isIdentifier(text string, longest int, symbols string) bool {
	return len(text) >= 2 && len(text) <= longest && consistsOf(text, symbols)
}

// consistsOf reports whether text consists only of ASCII letters, digits and symbols.
func consistsOf(text, symbols string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return !isOneOf(r, symbols) })
}

// isOneOf reports whether r is an ASCII letter, a digit or one of symbols.
func isOneOf(r rune, symbols string) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(symbols, r)
}

// validateSessionName checks a session name. An empty name is valid, because the default applies.
func validateSessionName(name string) error {
	if name != "" && !isIdentifier(name, MaxSessionName, sessionNameSymbols) {
		return fmt.Errorf("the session name %s must have 2 to 64 characters: letters, digits and _+=,.@- (no spaces)", explain.Quote(name))
	}
	return nil
}

func validateRegion(region string) error {
	if !isRegionName(region) {
		return fmt.Errorf("%s is not the name of a region", explain.Quote(region))
	}
	if zoneOf := explain.ZoneRegion(region); zoneOf != "" {
		return fmt.Errorf("%s is a zone of the region %s, not a region", explain.Quote(region), zoneOf)
	}
	if strings.HasSuffix(region, "-global") {
		return fmt.Errorf("%s is not a region, but a name that SDKs use for global services", explain.Quote(region))
	}
	return nil
}

// validateDuration checks a duration against the limits in the AssumeRoleWithWebIdentity API
// reference.
func validateDuration(d time.Duration) error {
	const shortest, longest = 15 * time.Minute, 12 * time.Hour
	switch {
	case d == 0:
		return nil
	case d < shortest || d > longest:
		return fmt.Errorf("the duration %v is not between %v and %v", d, shortest, longest)
	case d%time.Second != 0:
		return fmt.Errorf("the duration %v is not a whole number of seconds", d)
	default:
		return nil
	}
}

// ValidatePolicies checks the session policies of a role.
func ValidatePolicies(policy string, arns []string) error {
	if len(arns) > maxPolicyARNs {
		return fmt.Errorf("there are more than %d policy ARNs, the maximum of STS", maxPolicyARNs)
	}
	size := utf8.RuneCountInString(policy)
	for _, name := range arns {
		size += len(name)
	}
	if size > maxPolicies {
		return fmt.Errorf("the session policies have %d characters in total; STS accepts at most %d", size, maxPolicies)
	}
	for _, name := range arns {
		if parsed, err := arn.Parse(name); err != nil || parsed.Service != "iam" || !strings.HasPrefix(parsed.Resource, "policy/") {
			return fmt.Errorf("%s is not the ARN of a managed policy", explain.Quote(name))
		}
	}
	return nil
}

// CopyPolicyARNs returns a copy of arns. If the list is too long, it copies only as many entries as
// needed to report the error.
func CopyPolicyARNs(arns []string) []string {
	return slices.Clone(arns[:min(len(arns), maxPolicyARNs+1)])
}
