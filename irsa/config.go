package irsa

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"

	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/internal/lazyregexp"
)

const (
	// The maximum numbers of characters and of policies that STS accepts, from the
	// AssumeRoleWithWebIdentity and AssumeRole references of the AWS STS API.
	maxARN        = 2048
	maxPolicies   = 2048
	maxPolicyARNs = 10

	maxRegion   = 63      // of a label in a domain name
	maxIdentity = 4 << 10 // of a token source, in bytes

	defaultAttemptTimeout = 10 * time.Second
	defaultDuration       = time.Hour
	maxAttemptTimeout     = time.Hour // as in package cache
)

// configError is an error about an invalid or missing setting.
type configError struct {
	heading explain.Heading
	err     error
}

// configErrors collects errors, so that New can report them together.
type configErrors []configError

func (c *configErrors) add(h explain.Heading, err error) {
	if err != nil {
		*c = append(*c, configError{h, err})
	}
}

// join returns one error that wraps all of them.
func (c configErrors) join() error {
	errs := make([]error, len(c))
	for i, one := range c {
		errs[i] = one.err
	}
	return errors.Join(errs...)
}

// asError returns the Error that New returns. Its link is that of the first error. The texts
// contain the advice.
func (c configErrors) asError(cfg config) error {
	e := &Error{Kind: ErrNotConfigured, RoleARN: explain.Truncate(cfg.RoleARN, maxARN), TokenFile: explain.Truncate(cfg.TokenFile, maxARN), err: c.join()}
	e.set(explain.Advice{Heading: c[0].heading})
	return e
}

// sharedConfig is the part of a config that the roles of a Pool have in common.
type sharedConfig struct {
	Options
	environment environment
	services    *awshttp.BuildableClient // for service clients, nil without a CA bundle
	client      stscreds.AssumeRoleWithWebIdentityAPIClient
	http        aws.HTTPClient // the client's; nil if the STS client is not an *sts.Client
}

// config is the validated configuration of one role. Its fields replace those of Options with the
// same name, with their defaults filled in.
type config struct {
	*sharedConfig
	RoleARN, SessionName, Region, TokenFile, Policy string
	PolicyARNs                                      []string
	Duration                                        time.Duration

	tokens    TokenSource
	sourceKey tokenKey // identifies the token source in a Pool
	url       string   // the URL of STS; empty for Options.STS
}

// duration returns the lifetime to request.
func (c *config) duration() time.Duration { return cmp.Or(c.Duration, defaultDuration) }

// resolve returns the config for opts, with defaults from the environment, and what is wrong
// with it.
func resolve(ctx context.Context, opts Options) (config, configErrors) {
	c, errs := withDefaults(opts)
	c.validateRole(&errs)
	c.locate(ctx, &errs)
	return c, errs
}

// withDefaults returns the config for opts, with defaults from the environment. It does not
// validate the role, the region and the endpoint.
func withDefaults(opts Options) (config, configErrors) {
	var errs configErrors
	env := readEnvironment(&errs)
	c := config{
		sharedConfig: &sharedConfig{Options: opts, environment: env},
		RoleARN:      cmp.Or(opts.RoleARN, env.roleARN),
		SessionName:  cmp.Or(opts.SessionName, env.sessionName),
		Region:       cmp.Or(opts.Region, env.region),
		TokenFile:    opts.TokenFile,
		Policy:       opts.Policy,
		PolicyARNs:   slices.Clone(opts.PolicyARNs[:min(len(opts.PolicyARNs), maxPolicyARNs+1)]),
		Duration:     opts.Duration,
	}
	c.Endpoint = cmp.Or(c.Endpoint, env.endpoint)
	if c.AttemptTimeout <= 0 {
		c.AttemptTimeout = defaultAttemptTimeout
	}
	c.AttemptTimeout = min(c.AttemptTimeout, maxAttemptTimeout)
	rejectNil(&errs, "STS", &c.STS)
	rejectNil(&errs, "HTTPClient", &c.HTTPClient)
	rejectNil(&errs, "TracerProvider", &c.TracerProvider)
	rejectNil(&errs, "MeterProvider", &c.MeterProvider)
	errs.add(explain.HeadingSettings, c.resolveTokens())
	return c, errs
}

// rejectNil adds an error for an option that is an interface containing a nil pointer, and clears
// it.
func rejectNil[T any](errs *configErrors, name string, option *T) {
	if isNil(*option) {
		errs.add(explain.HeadingSettings, fmt.Errorf("the option %s is a nil %T", name, *option))
		*option = *new(T)
	}
}

// validateRole validates the role and the parameters of its session.
func (c *config) validateRole(errs *configErrors) {
	if c.RoleARN == "" || c.tokens == nil && c.TokenFile == "" {
		errs.add(c.notInjected())
	}
	if c.RoleARN != "" {
		errs.add(explain.HeadingRoleARN, validateRoleARN(c.RoleARN))
	}
	if c.SessionName != "" {
		errs.add(explain.HeadingSettings, validateSessionName(c.SessionName))
	}
	errs.add(explain.HeadingSessionDuration, validateDuration(c.Duration))
	errs.add(explain.HeadingSessionPolicy, validatePolicies(c.Policy, c.PolicyARNs))
}

// locate determines the region, the endpoint of STS, and the authorities of service clients.
func (c *config) locate(ctx context.Context, errs *configErrors) {
	if c.Region == "" && c.tokens != nil {
		errs.add(explain.HeadingRegion, c.regionFromToken(ctx))
	}
	if c.Region != "" {
		errs.add(explain.HeadingRegion, validateRegion(c.Region))
	}
	errs.add(explain.HeadingEndpoint, c.resolveEndpoint())
	errs.add(explain.HeadingTLS, c.readAuthorities())
}

// resolveTokens sets the token source.
func (c *config) resolveTokens() error {
	if c.Token != nil {
		if c.TokenFile != "" {
			return errors.New("both Options.Token and Options.TokenFile are set: choose one")
		}
		if err := checkTokenSource(c.Token); err != nil {
			return err
		}
		c.tokens = c.Token
		return nil
	}
	c.TokenFile = cmp.Or(c.TokenFile, c.environment.tokenFile)
	switch {
	case c.TokenFile == "":
		return nil // reported by notInjected
	case !isAbsolute(c.TokenFile):
		return fmt.Errorf("the token file %s is not an absolute path", explain.Quote(c.TokenFile))
	}
	c.tokens = &fileSource{path: c.TokenFile}
	return nil
}

// isAbsolute reports whether path is absolute. On Windows it also accepts paths without a drive,
// which the webhook sets.
func isAbsolute(path string) bool { return filepath.IsAbs(path) || strings.HasPrefix(path, "/") }

// validateRoleARN checks the format of a role ARN. It accepts the ARNs of all partitions and
// those of MinIO. For AWS it is the format that the webhook checks
// (amazon-eks-pod-identity-webhook, pkg/cache/cache.go), which only warns.
func validateRoleARN(role string) error {
	if len(role) > maxARN {
		return fmt.Errorf("the role ARN has %d characters, STS takes 20 to %d", len(role), maxARN)
	}
	parsed, err := arn.Parse(role)
	switch {
	case err != nil || parsed.Partition == "" || parsed.Service != "iam" ||
		!strings.HasPrefix(parsed.Resource, "role/") || strings.HasSuffix(parsed.Resource, "/"):
		return fmt.Errorf("%s is not the ARN of an IAM role: it looks like arn:aws:iam::111122223333:role/name", explain.Quote(role))
	case len(role) < 20:
		return fmt.Errorf("the role ARN has %d characters, STS takes 20 to %d", len(role), maxARN)
	case !isPrintable(role):
		return fmt.Errorf("the role ARN %s has characters that no ARN has", explain.Quote(role))
	case strings.HasPrefix(parsed.Partition, "aws") && !isAccountID(parsed.AccountID):
		return fmt.Errorf("the role ARN %s has no account ID of 12 digits", explain.Quote(role))
	default:
		return nil
	}
}

// isPrintable reports whether text has only visible ASCII characters.
func isPrintable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < '!' || r > '~' })
}

// isAccountID reports whether text is an AWS account ID: 12 digits.
func isAccountID(text string) bool {
	return len(text) == 12 && !strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}

// isRegionName reports whether text can be the name of a region: a label of a domain name.
func isRegionName(text string) bool {
	return text != "" && len(text) <= maxRegion && text[0] != '-' && text[len(text)-1] != '-' &&
		!strings.ContainsFunc(text, func(r rune) bool { return !isAlphanumeric(r) && r != '-' })
}

// isSessionName reports whether text can be the name of a session.
func isSessionName(text string) bool {
	return len(text) >= 2 && len(text) <= maxSessionName &&
		!strings.ContainsFunc(text, func(r rune) bool { return !isInSessionName(r) })
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func validateSessionName(name string) error {
	if !isSessionName(name) {
		return fmt.Errorf("the session name %s is not of 2 to 64 characters of A-Z a-z 0-9 _ + = , . @ -", explain.Quote(name))
	}
	return nil
}

func validateRegion(region string) error {
	if !isRegionName(region) {
		return fmt.Errorf("%s is not the name of a region", explain.Quote(region))
	}
	return nil
}

// validateDuration checks a duration against the limits in the AssumeRoleWithWebIdentity
// reference of the AWS STS API.
func validateDuration(d time.Duration) error {
	const shortest, longest = 15 * time.Minute, 12 * time.Hour
	switch {
	case d == 0:
		return nil
	case d < shortest || d > longest:
		return fmt.Errorf("the duration %v is not between %v and %v", d, shortest, longest)
	case d%time.Second != 0:
		return fmt.Errorf("the duration %v is not of whole seconds", d)
	default:
		return nil
	}
}

func validatePolicies(policy string, arns []string) error {
	if len(arns) > maxPolicyARNs {
		return fmt.Errorf("there are more than %d policy ARNs, which STS does not take", maxPolicyARNs)
	}
	size := utf8.RuneCountInString(policy)
	for _, name := range arns {
		size += len(name)
	}
	if size > maxPolicies {
		return fmt.Errorf("the session policies have %d characters together, STS takes %d", size, maxPolicies)
	}
	for _, name := range arns {
		if parsed, err := arn.Parse(name); err != nil || parsed.Service != "iam" || !strings.HasPrefix(parsed.Resource, "policy/") {
			return fmt.Errorf("%s is not the ARN of a managed policy", explain.Quote(name))
		}
	}
	return nil
}

// eksIssuer matches the issuers of EKS clusters, with IPv4 or dual-stack names. Its group is the
// region.
var eksIssuer = lazyregexp.New(`^https://oidc[.-]eks\.([a-z0-9-]+)\.(?:amazonaws\.com|amazonaws\.com\.cn|api\.aws|api\.amazonwebservices\.com\.cn)/id/`)

// regionFromToken sets the region to that in the issuer of an EKS cluster. Without one it
// returns an error, unless Options.STS is set, which has its own region.
func (c *config) regionFromToken(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.AttemptTimeout)
	defer cancel()
	token, err := c.tokens.Token(ctx)
	var issuer string
	if err == nil {
		issuer = token.Claims().Issuer
		if match := eksIssuer.FindStringSubmatch(issuer); match != nil {
			c.Region = match[1]
		}
	}
	switch cure := fmt.Sprintf("set %s or Options.Region", envRegion); {
	case c.Region != "" || c.STS != nil:
		return nil
	case err != nil:
		return fmt.Errorf("there is no region, and the token that could name it cannot be read: %s: %w", cure, tokenError(c, err))
	default:
		return fmt.Errorf("there is no region, and the token's issuer %s names none: %s", explain.Quote(issuer), cure)
	}
}
