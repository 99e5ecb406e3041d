package irsa

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/middleware"
)

// AWSConfig returns a configuration for service clients: the region, the Provider
// as credentials, and what the environment says of FIPS endpoints, dual-stack
// endpoints and the authorities for TLS (AWS_USE_FIPS_ENDPOINT,
// AWS_USE_DUALSTACK_ENDPOINT, AWS_CA_BUNDLE).
//
// A request whose credentials a service rejects as expired or unknown (ExpiredToken,
// ExpiredTokenException, InvalidClientTokenId, UnrecognizedClientException, InvalidAccessKeyId,
// TokenRefreshRequired) is sent once more with new ones, if its body can be read again. It waits
// for the exchange, no longer than its context and Options.AttemptTimeout allow. Other callers
// are served the old credentials meanwhile, and after a failed exchange: one service cannot take
// them away from others. Credentials that came less than a minute ago start no exchange, and the
// minute doubles with each consecutive key that a host rejects, up to 30 minutes. Without new
// credentials the request gets the service's error, which wraps that of the exchange.
//
// AccessDenied starts no exchange, although services also return it for revoked sessions. After a
// revocation call [Provider.Invalidate].
//
// It does no I/O; each call returns a configuration of its own, all with one HTTP client
// where there is a CA bundle.
//
// What else config.LoadDefaultConfig reads is not read: shared config and
// credentials files and profiles, AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_<SERVICE>,
// AWS_MAX_ATTEMPTS, AWS_RETRY_MODE, AWS_DEFAULTS_MODE, AWS_SDK_UA_APP_ID, checksum,
// compression, clock-skew and account-ID-endpoint settings. Load that configuration
// and set its Credentials to the Provider where they are wanted.
func (p *Provider) AWSConfig() aws.Config {
	env := p.settings.environment
	cfg := aws.Config{
		Region:        p.settings.Region,
		Credentials:   p,
		APIOptions:    []func(*middleware.Stack) error{(&renewal{p}).addTo},
		ConfigSources: []any{endpointSource{fips: env.fips, dualStack: env.dualStack}},
	}
	if p.settings.services != nil {
		cfg.HTTPClient = p.settings.services
	}
	return cfg
}

// endpointSource tells service clients which endpoints to use: they look in
// ConfigSources for these methods, having no field for it.
type endpointSource struct{ fips, dualStack bool }

// GetUseFIPSEndpoint is what service clients ask for.
func (s endpointSource) GetUseFIPSEndpoint(context.Context) (aws.FIPSEndpointState, bool, error) {
	if s.fips {
		return aws.FIPSEndpointStateEnabled, true, nil
	}
	return aws.FIPSEndpointStateUnset, false, nil
}

// GetUseDualStackEndpoint is what service clients ask for.
func (s endpointSource) GetUseDualStackEndpoint(context.Context) (aws.DualStackEndpointState, bool, error) {
	if s.dualStack {
		return aws.DualStackEndpointStateEnabled, true, nil
	}
	return aws.DualStackEndpointStateUnset, false, nil
}
