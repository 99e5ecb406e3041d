// Package config determines the configuration of a role from the application's settings and from
// environment variables. It reads files and tokens only through the functions of an [Environment].
package config

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
	"github.com/aws/smithy-go/metrics"
	"github.com/aws/smithy-go/tracing"

	"github.com/irsakit/irsakit/internal/explain"
)

const (
	defaultAttemptTimeout = 10 * time.Second
	defaultDuration       = time.Hour
	maxAttemptTimeout     = time.Hour // as in package cache
)

// Config is the configuration of one role. Before [Environment.Resolve], it holds the application's
// settings.
type Config struct {
	RoleARN     string
	SessionName string        // if empty, derived from the first token
	Duration    time.Duration // if 0, the default; see Lifetime
	Policy      string
	PolicyARNs  []string

	// Set only for role chains.
	ExternalID         string
	Chained            bool
	Tagged, Identified bool // whether the request sets session tags and a source identity

	OwnRegion         bool // a role of a Pool has its own region, different from the Pool's
	OwnRole, OwnToken bool // the program, not the environment, sets the role and the token source
	GivenRegion       bool // the program sets Options.Region

	Token     TokenSource // nil if not configured
	TokenFile string      // empty if tokens are not read from a file
	Source    SourceKey   // identifies Token in a Pool
	Tenant    string      // the tenant of a role of a Pool

	Region   string
	Endpoint *smithyendpoints.Endpoint // nil if Shared.STS is set or the region is invalid

	Shared *Shared
}

// Shared contains the settings that all roles of a Pool share. A Pool can have many thousands of
// roles.
type Shared struct {
	Endpoint         string // the configured URL of STS; if empty, the region's endpoint is used
	InsecureEndpoint bool
	FIPS, DualStack  bool
	AppID            string // in the User-Agent header; may be empty

	STS            stscreds.AssumeRoleWithWebIdentityAPIClient // the application's client
	HTTPClient     aws.HTTPClient                              // sends requests to STS; if nil, the default client is used
	Authorities    func() *x509.CertPool                       // returns the certificates of the CA bundle, which must not be modified; nil without a CA bundle
	Services       func() *awshttp.BuildableClient             // returns the HTTP client for service clients; nil without a CA bundle
	TracerProvider tracing.TracerProvider
	MeterProvider  metrics.MeterProvider
	AttemptTimeout time.Duration

	podIdentity   bool // the pod uses EKS Pod Identity
	otherEndpoint bool // credentials come from another endpoint, such as a sidecar
}

// Lifetime returns the lifetime to request.
func (c *Config) Lifetime() time.Duration { return cmp.Or(c.Duration, defaultDuration) }

// RegionSetting returns the name of the option or variable that sets the region.
func (c *Config) RegionSetting() string {
	switch {
	case c.OwnRegion:
		return "RoleOptions.Region"
	case c.GivenRegion:
		return "Options.Region"
	default:
		return EnvRegion
	}
}

// Error describes an invalid or missing setting.
type Error struct {
	Heading explain.Heading
	Err     error
}

// Errors collects errors so that they can be reported together.
type Errors []Error

// Add adds err unless it is nil.
func (e *Errors) Add(h explain.Heading, err error) {
	if err != nil {
		*e = append(*e, Error{h, err})
	}
}

// Join returns a single error that wraps all of them.
func (e Errors) Join() error {
	errs := make([]error, len(e))
	for i, one := range e {
		errs[i] = one.Err
	}
	return errors.Join(errs...)
}

// Advice returns the advice for each error. If there are several, each is prefixed with its error.
func (e Errors) Advice(of func(Error) string) string {
	if len(e) == 1 {
		return of(e[0])
	}
	texts := make([]string, len(e))
	for i, one := range e {
		texts[i] = fmt.Sprintf("%v: %s", one.Err, of(one))
	}
	return strings.Join(texts, "; ")
}

// Resolve adds defaults from the environment to the application's settings and validates the result.
// It returns all errors, not just the first.
func (env Environment) Resolve(ctx context.Context, given Config) (Config, Errors) {
	c, errs := env.WithDefaults(given)
	c.validateRole(&errs)
	env.Locate(ctx, &c, &errs)
	return c, errs
}

// WithDefaults adds defaults from the environment to the application's settings. Unlike Resolve, it
// does not validate the role, region or endpoint.
func (env Environment) WithDefaults(given Config) (Config, Errors) {
	var errs Errors
	c, shared := given, *given.Shared
	c.Shared = &shared
	c.OwnRole, c.OwnToken, c.GivenRegion = c.RoleARN != "", c.Token != nil || c.TokenFile != "", c.Region != ""
	env.setDefaults(&c, &errs)
	c.PolicyARNs = CopyPolicyARNs(given.PolicyARNs)
	if c.Shared.AttemptTimeout <= 0 {
		c.Shared.AttemptTimeout = defaultAttemptTimeout
	}
	c.Shared.AttemptTimeout = min(c.Shared.AttemptTimeout, maxAttemptTimeout)
	rejectNil(&errs, "STS", &c.Shared.STS)
	if client, ok := c.Shared.STS.(*sts.Client); ok {
		if httpClient := client.Options().HTTPClient; isNil(httpClient) {
			errs.Add(explain.HeadingSettings, fmt.Errorf("the HTTP client of the option STS is a nil %T", httpClient))
			c.Shared.STS = nil
		}
	}
	rejectNil(&errs, "HTTPClient", &c.Shared.HTTPClient)
	rejectNil(&errs, "TracerProvider", &c.Shared.TracerProvider)
	rejectNil(&errs, "MeterProvider", &c.Shared.MeterProvider)
	errs.Add(explain.HeadingSettings, c.resolveToken(env.Lookup(EnvTokenFile)))
	return c, errs
}

// rejectNil adds an error and clears the option if it is an interface that holds a nil pointer.
func rejectNil[T any](errs *Errors, name string, option *T) {
	if isNil(*option) {
		errs.Add(explain.HeadingSettings, fmt.Errorf("the option %s is a nil %T", name, *option))
		*option = *new(T)
	}
}

func (c *Config) validateRole(errs *Errors) {
	if c.RoleARN == "" || c.Token == nil && c.TokenFile == "" {
		errs.Add(c.notInjected())
	}
	if c.RoleARN != "" {
		errs.Add(explain.HeadingRoleARN, validateRoleARN(c.RoleARN))
	}
	errs.Add(explain.HeadingSettings, validateSessionName(c.SessionName))
	errs.Add(explain.HeadingSessionDuration, validateDuration(c.Duration))
	errs.Add(explain.HeadingSessionPolicy, ValidatePolicies(c.Policy, c.PolicyARNs))
}

// Locate determines the region, the STS endpoint, and the authorities for service clients.
func (env Environment) Locate(ctx context.Context, c *Config, errs *Errors) {
	c.Region = c.Shared.Region(c.Region)
	if c.Region == "" && c.Token != nil {
		errs.Add(env.regionFromToken(ctx, c))
	}
	if c.Region != "" {
		errs.Add(explain.HeadingRegion, validateRegion(c.Region))
	}
	errs.Add(explain.HeadingEndpoint, c.resolveEndpoint())
	errs.Add(explain.HeadingTLS, env.readAuthorities(c))
}
