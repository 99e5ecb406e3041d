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

// Config is the configuration of one role. Before [Environment.Resolve] it contains the
// application's settings.
type Config struct {
	RoleARN     string
	SessionName string        // empty if it comes from the first token
	Duration    time.Duration // 0 for the default; see Lifetime
	Policy      string
	PolicyARNs  []string

	// Set only for role chains.
	Chained            bool
	ExternalID         string
	Tagged, Identified bool // whether the request sets session tags, and a source identity

	OwnRegion         bool // a role of a Pool has another region than the Pool
	OwnRole, OwnToken bool // the program sets the role, and the token source, rather than the environment
	GivenRegion       bool // the program sets Options.Region

	Token     TokenSource // nil if there is none
	TokenFile string      // empty if the tokens do not come from a file
	Source    SourceKey   // identifies Token in a Pool
	Tenant    string      // the tenant of a role of a Pool

	Region   string
	Endpoint *smithyendpoints.Endpoint // of STS; nil for Shared.STS

	Shared *Shared
}

// Shared is the part of a Config that the roles of a Pool share. A Pool can have many thousands of
// them.
type Shared struct {
	Endpoint         string // the configured URL of STS; empty for the region's endpoint
	InsecureEndpoint bool
	FIPS, DualStack  bool
	AppID            string // in the User-Agent header; may be empty

	STS            stscreds.AssumeRoleWithWebIdentityAPIClient // a client of the application
	HTTPClient     aws.HTTPClient                              // sends the requests to STS; nil for the default
	Authorities    func() *x509.CertPool                       // returns the certificates of the CA bundle, which must not be modified; nil without a bundle
	Services       func() *awshttp.BuildableClient             // returns the HTTP client for service clients; nil without a CA bundle
	TracerProvider tracing.TracerProvider
	MeterProvider  metrics.MeterProvider
	AttemptTimeout time.Duration

	podIdentity   bool // the pod uses EKS Pod Identity
	otherEndpoint bool // another endpoint provides credentials, such as a sidecar's
}

// Lifetime returns the lifetime to request.
func (c *Config) Lifetime() time.Duration { return cmp.Or(c.Duration, defaultDuration) }

// RegionSetting returns the name of the option or variable to change the region with.
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

// Error is an error about an invalid or missing setting.
type Error struct {
	Heading explain.Heading
	Err     error
}

// Errors collects errors, so that they can be reported together.
type Errors []Error

// Add adds an error unless it is nil.
func (e *Errors) Add(h explain.Heading, err error) {
	if err != nil {
		*e = append(*e, Error{h, err})
	}
}

// Join returns one error that wraps all of them.
func (e Errors) Join() error {
	errs := make([]error, len(e))
	for i, one := range e {
		errs[i] = one.Err
	}
	return errors.Join(errs...)
}

// Advice returns the advice for each error, prefixed with the error.
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

// Resolve returns the Config for the application's settings, with defaults from the environment, and
// the errors in it.
func (env Environment) Resolve(ctx context.Context, given Config) (Config, Errors) {
	c, errs := env.WithDefaults(given)
	c.validateRole(&errs)
	env.Locate(ctx, &c, &errs)
	return c, errs
}

// WithDefaults returns the Config for the application's settings, with defaults from the
// environment. It does not validate the role, the region and the endpoint.
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

// rejectNil adds an error for an option that is an interface containing a nil pointer, and clears
// it.
func rejectNil[T any](errs *Errors, name string, option *T) {
	if isNil(*option) {
		errs.Add(explain.HeadingSettings, fmt.Errorf("the option %s is a nil %T", name, *option))
		*option = *new(T)
	}
}

// validateRole validates the role and the parameters of its session.
func (c *Config) validateRole(errs *Errors) {
	if c.RoleARN == "" || c.Token == nil && c.TokenFile == "" {
		errs.Add(c.notInjected())
	}
	if c.RoleARN != "" {
		errs.Add(explain.HeadingRoleARN, validateRoleARN(c.RoleARN))
	}
	if c.SessionName != "" {
		errs.Add(explain.HeadingSettings, validateSessionName(c.SessionName))
	}
	errs.Add(explain.HeadingSessionDuration, validateDuration(c.Duration))
	errs.Add(explain.HeadingSessionPolicy, ValidatePolicies(c.Policy, c.PolicyARNs))
}

// Locate determines the region, the endpoint of STS, and the authorities of service clients.
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
