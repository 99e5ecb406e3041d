package irsa

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/middleware"
)

// AWSConfig returns a configuration for service clients. It contains the region, the AppID, the
// Provider as the credentials provider, and the environment's settings for FIPS endpoints, dual-stack
// endpoints and certificate authorities (AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT,
// AWS_CA_BUNDLE).
//
// Clients created from the configuration retry a request once with new credentials if a service
// rejects its credentials as expired or unknown (ExpiredToken, ExpiredTokenException,
// InvalidClientTokenId, UnrecognizedClientException, InvalidAccessKeyId, TokenRefreshRequired),
// provided that its body can be rewound. The request waits for an exchange for up to
// Options.AttemptTimeout, or until its context is done. Other callers continue to receive the old
// credentials until the exchange succeeds, so that one service cannot invalidate them for others. An
// exchange starts only if the credentials are at least a minute old; that minimum age doubles with
// each consecutive access key that a host rejects, up to 30 minutes. If there are no new credentials,
// the request fails with the service's error, combined with the error of the exchange if it failed.
//
// AccessDenied does not start an exchange, even though services also return it for revoked sessions.
// After a revocation, call [Provider.Invalidate].
//
// AWSConfig performs no I/O. Each call returns a new configuration, but if a CA bundle is set, all of
// them share one HTTP client.
//
// AWSConfig ignores everything else that config.LoadDefaultConfig reads: shared config and credentials
// files and profiles, AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_<SERVICE>, AWS_MAX_ATTEMPTS,
// AWS_RETRY_MODE, AWS_DEFAULTS_MODE, and the settings for checksums, compression, clock skew and
// account ID endpoints. To apply them, load the configuration and pass it to [Provider.Configure].
// Options.Endpoint is only for the exchange. It is not the endpoint of an STS client that is created
// from the configuration.
func (p *Provider) AWSConfig() aws.Config {
	cfg := aws.Config{
		Region:        p.config.Region,
		AppID:         p.config.Shared.AppID,
		Credentials:   p,
		APIOptions:    []func(*middleware.Stack) error{(&rejectionRetry{p}).addTo},
		ConfigSources: []any{endpointSource{fips: p.config.Shared.FIPS, dualStack: p.config.Shared.DualStack}},
	}
	if client := p.config.Shared.Services; client != nil {
		cfg.HTTPClient = client()
	}
	return cfg
}

// endpointSource selects the endpoints of service clients. Clients look for its methods in
// ConfigSources, because aws.Config has no fields for these settings.
type endpointSource struct{ fips, dualStack bool }

// GetUseFIPSEndpoint reports whether service clients use FIPS endpoints.
func (s endpointSource) GetUseFIPSEndpoint(context.Context) (aws.FIPSEndpointState, bool, error) {
	if s.fips {
		return aws.FIPSEndpointStateEnabled, true, nil
	}
	return aws.FIPSEndpointStateUnset, false, nil
}

// GetUseDualStackEndpoint reports whether service clients use dual-stack endpoints.
func (s endpointSource) GetUseDualStackEndpoint(context.Context) (aws.DualStackEndpointState, bool, error) {
	if s.dualStack {
		return aws.DualStackEndpointStateEnabled, true, nil
	}
	return aws.DualStackEndpointStateUnset, false, nil
}
