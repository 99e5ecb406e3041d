package irsa

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
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

// fault is an invalid or missing setting.
type fault struct {
	heading heading
	err     error
}

// faults collects all faults, so that New can report them together.
type faults []fault

func (f *faults) add(h heading, err error) {
	if err != nil {
		*f = append(*f, fault{h, err})
	}
}

// join returns one error that wraps all faults.
func (f faults) join() error {
	errs := make([]error, len(f))
	for i, one := range f {
		errs[i] = one.err
	}
	return errors.Join(errs...)
}

// error returns the Error that New returns. Its link is that of the first fault. The faults'
// texts contain the advice.
func (f faults) error(s settings) error {
	e := &Error{Kind: ErrNotConfigured, RoleARN: truncated(s.RoleARN), TokenFile: truncated(s.TokenFile), err: f.join()}
	e.set(hint{heading: f[0].heading})
	return e
}

// shared contains the settings that the roles of a Pool have in common.
type shared struct {
	Options
	environment environment
	services    *awshttp.BuildableClient // for service clients, nil without a CA bundle
	client      stscreds.AssumeRoleWithWebIdentityAPIClient
	http        aws.HTTPClient // the client's; nil if the STS client is not an *sts.Client
}

// settings are the validated settings of one role. They replace the fields of Options with the
// same name, with their defaults filled in.
type settings struct {
	*shared
	RoleARN, SessionName, Region, TokenFile, Policy string
	PolicyARNs                                      []string
	Duration                                        time.Duration

	tokens TokenSource
	whose  tokenKey // identifies tokens in a Pool
	url    string   // the URL of STS; empty for Options.STS
}

// duration returns the lifetime to request.
func (s *settings) duration() time.Duration { return cmp.Or(s.Duration, defaultDuration) }

// resolve returns the settings for opts, with defaults from the environment, and what is wrong
// with them.
func resolve(ctx context.Context, opts Options) (settings, faults) {
	s, faults := complete(opts)
	s.validateRole(&faults)
	s.locate(ctx, &faults)
	return s, faults
}

// complete returns the settings for opts, with defaults from the environment. It does not
// validate the role, the region and the endpoint.
func complete(opts Options) (settings, faults) {
	var faults faults
	env := readEnvironment(&faults)
	s := settings{
		shared:      &shared{Options: opts, environment: env},
		RoleARN:     cmp.Or(opts.RoleARN, env.roleARN),
		SessionName: cmp.Or(opts.SessionName, env.sessionName),
		Region:      cmp.Or(opts.Region, env.region),
		TokenFile:   opts.TokenFile,
		Policy:      opts.Policy,
		PolicyARNs:  slices.Clone(opts.PolicyARNs[:min(len(opts.PolicyARNs), maxPolicyARNs+1)]),
		Duration:    opts.Duration,
	}
	s.Endpoint = cmp.Or(s.Endpoint, env.endpoint)
	if s.AttemptTimeout <= 0 {
		s.AttemptTimeout = defaultAttemptTimeout
	}
	s.AttemptTimeout = min(s.AttemptTimeout, maxAttemptTimeout)
	rejectNil(&faults, "STS", &s.STS)
	rejectNil(&faults, "HTTPClient", &s.HTTPClient)
	rejectNil(&faults, "TracerProvider", &s.TracerProvider)
	rejectNil(&faults, "MeterProvider", &s.MeterProvider)
	faults.add(headingSettings, s.resolveTokens())
	return s, faults
}

// rejectNil adds a fault for an option that is an interface containing a nil pointer, and clears it.
func rejectNil[T any](faults *faults, name string, option *T) {
	if isNil(*option) {
		faults.add(headingSettings, fmt.Errorf("the option %s is a nil %T", name, *option))
		*option = *new(T)
	}
}

// validateRole validates the role and the parameters of its session.
func (s *settings) validateRole(faults *faults) {
	if s.RoleARN == "" || s.tokens == nil && s.TokenFile == "" {
		faults.add(s.notInjected())
	}
	if s.RoleARN != "" {
		faults.add(headingRoleARN, validateRoleARN(s.RoleARN))
	}
	if s.SessionName != "" {
		faults.add(headingSettings, validateSessionName(s.SessionName))
	}
	faults.add(headingSessionDuration, validateDuration(s.Duration))
	faults.add(headingSessionPolicy, validatePolicies(s.Policy, s.PolicyARNs))
}

// locate determines the region, the endpoint of STS, and the authorities of service clients.
func (s *settings) locate(ctx context.Context, faults *faults) {
	if s.Region == "" && s.tokens != nil {
		faults.add(headingRegion, s.regionFromToken(ctx))
	}
	if s.Region != "" {
		faults.add(headingRegion, validateRegion(s.Region))
	}
	faults.add(headingEndpoint, s.resolveEndpoint())
	faults.add(headingTLS, s.readAuthorities())
}

// resolveTokens sets the token source.
func (s *settings) resolveTokens() error {
	if s.Token != nil {
		if s.TokenFile != "" {
			return errors.New("both Options.Token and Options.TokenFile are set: choose one")
		}
		if err := checkTokenSource(s.Token); err != nil {
			return err
		}
		s.tokens = s.Token
		return nil
	}
	s.TokenFile = cmp.Or(s.TokenFile, s.environment.tokenFile)
	switch {
	case s.TokenFile == "":
		return nil // reported by notInjected
	case !isAbsolute(s.TokenFile):
		return fmt.Errorf("the token file %s is not an absolute path", quoted(s.TokenFile))
	}
	s.tokens = &fileSource{path: s.TokenFile}
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
		return fmt.Errorf("%s is not the ARN of an IAM role: it looks like arn:aws:iam::111122223333:role/name", quoted(role))
	case len(role) < 20:
		return fmt.Errorf("the role ARN has %d characters, STS takes 20 to %d", len(role), maxARN)
	case !printable.MatchString(role):
		return fmt.Errorf("the role ARN %s has characters that no ARN has", quoted(role))
	case strings.HasPrefix(parsed.Partition, "aws") && !accountID.MatchString(parsed.AccountID):
		return fmt.Errorf("the role ARN %s has no account ID of 12 digits", quoted(role))
	default:
		return nil
	}
}

var (
	printable   = regexp.MustCompile(`^[!-~]+$`)
	accountID   = regexp.MustCompile(`^\d{12}$`)
	regionName  = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`)
	sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
)

func validateSessionName(name string) error {
	if len(name) > maxSessionName || !sessionName.MatchString(name) {
		return fmt.Errorf("the session name %s is not of 2 to 64 characters of A-Z a-z 0-9 _ + = , . @ -", quoted(name))
	}
	return nil
}

func validateRegion(region string) error {
	if len(region) > maxRegion || !regionName.MatchString(region) {
		return fmt.Errorf("%s is not the name of a region", quoted(region))
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
			return fmt.Errorf("%s is not the ARN of a managed policy", quoted(name))
		}
	}
	return nil
}

// eksIssuer matches the issuers of EKS clusters, with IPv4 or dual-stack names. Its group is the
// region.
var eksIssuer = regexp.MustCompile(`^https://oidc[.-]eks\.([a-z0-9-]+)\.(?:amazonaws\.com|amazonaws\.com\.cn|api\.aws|api\.amazonwebservices\.com\.cn)/id/`)

// regionFromToken sets the region to that in the issuer of an EKS cluster. Without one it
// returns an error, unless Options.STS is set, which has its own region.
func (s *settings) regionFromToken(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.AttemptTimeout)
	defer cancel()
	token, err := s.tokens.Token(ctx)
	var issuer string
	if err == nil {
		issuer = token.Claims().Issuer
		if match := eksIssuer.FindStringSubmatch(issuer); match != nil {
			s.Region = match[1]
		}
	}
	switch cure := fmt.Sprintf("set %s or Options.Region", envRegion); {
	case s.Region != "" || s.STS != nil:
		return nil
	case err != nil:
		return fmt.Errorf("there is no region, and the token that could name it cannot be read: %s: %w", cure, tokenError(s, err))
	default:
		return fmt.Errorf("there is no region, and the token's issuer %s names none: %s", quoted(issuer), cure)
	}
}
