package config

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyendpoints "github.com/aws/smithy-go/endpoints"

	"github.com/irsakit/irsakit/internal/explain"
)

// resolveEndpoint sets the STS endpoint to Shared.Endpoint, or by default to the endpoint that the
// SDK resolves for the region.
func (c *Config) resolveEndpoint() error {
	c.Endpoint = nil
	if client, ok := c.Shared.STS.(*sts.Client); ok {
		return c.checkScheme(aws.ToString(client.Options().BaseEndpoint))
	}
	switch {
	case c.Shared.STS != nil:
		return nil
	case c.Shared.Endpoint != "":
		u, err := c.parseEndpoint()
		if err != nil {
			return err
		}
		c.Endpoint = &smithyendpoints.Endpoint{URI: *u, Headers: http.Header{}}
		return nil
	case c.Region == "" || !isRegionName(c.Region):
		return nil // already reported
	}
	endpoint, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), sts.EndpointParameters{
		Region:       &c.Region,
		UseFIPS:      &c.Shared.FIPS,
		UseDualStack: &c.Shared.DualStack,
	})
	if err != nil { // do not wrap err, because its message varies by SDK version
		return fmt.Errorf("no STS endpoint for the region %s with %s=%t and %s=%t",
			explain.Quote(c.Region), EnvFIPS, c.Shared.FIPS, EnvDualStack, c.Shared.DualStack)
	}
	c.Endpoint = &endpoint
	return nil
}

// URL returns the URL of STS, or "" if Options.STS is set.
func (c *Config) URL() string {
	switch {
	case c.Endpoint == nil:
		return ""
	case c.Shared.Endpoint != "":
		return c.Shared.Endpoint // as configured
	default:
		return c.Endpoint.URI.String()
	}
}

// Host returns the host of STS, or "" if Options.STS is set.
func (c *Config) Host() string {
	if c.Endpoint == nil {
		return ""
	}
	return c.Endpoint.URI.Host
}

// parseEndpoint parses the configured URL of STS.
func (c *Config) parseEndpoint() (*url.URL, error) {
	endpoint := c.Shared.Endpoint
	if len(endpoint) > maxEndpoint {
		return nil, fmt.Errorf("the STS endpoint has %d bytes; the maximum is %d", len(endpoint), maxEndpoint)
	}
	u, err := url.Parse(endpoint)
	switch {
	case err == nil && u.User != nil, (err != nil || !isServer(u)) && strings.Contains(endpoint, "@"):
		return nil, errors.New("the STS endpoint contains a user name or a password") // omit them from the error
	case err != nil || !isServer(u) || strings.Contains(endpoint, " "):
		shown, _, _ := strings.Cut(endpoint, "?") // a query can contain a key
		return nil, fmt.Errorf("the STS endpoint %s is not a URL with a scheme and a host", explain.Quote(shown))
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(endpoint, "#"):
		return nil, fmt.Errorf("the STS endpoint %s has a query or a fragment", explain.Quote(u.Scheme+"://"+u.Host)) // omit them from the error
	case !isPort(u.Port()):
		return nil, fmt.Errorf("the STS endpoint %s has an invalid port", explain.Quote(endpoint))
	case c.Shared.FIPS || c.Shared.DualStack:
		return nil, fmt.Errorf("the STS endpoint %s is set together with %s or %s", explain.Quote(endpoint), EnvFIPS, EnvDualStack)
	}
	u.Host = strings.ToLower(u.Host)
	return u, c.checkScheme(u.String())
}

// isServer reports whether u has an http or https scheme and a host. IPv6 addresses must be in
// brackets.
func isServer(u *url.URL) bool {
	if strings.HasSuffix(u.Host, ":") || strings.Contains(u.Hostname(), ":") && u.Host[0] != '[' {
		return false // such as the host of https://https://sts.example
	}
	return (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.Opaque == ""
}

// isPort reports whether port is valid or empty.
func isPort(port string) bool {
	number, err := strconv.Atoi(port)
	return port == "" || err == nil && number >= 1 && number <= 65535
}

// checkScheme returns an error if the token must not be sent to the endpoint. The error contains only
// the host, because the URL of the application's client can contain a password.
func (c *Config) checkScheme(endpoint string) error {
	if u, err := url.Parse(endpoint); err == nil && !c.MaySendToken(u) {
		return fmt.Errorf("the STS endpoint %s: %w", explain.Quote(u.Scheme+"://"+u.Host), explain.ErrCleartext)
	}
	return nil
}

// MaySendToken reports whether the token may be sent to u: over TLS, to a loopback address, or to any
// address if Options.InsecureEndpoint is set.
func (c *Config) MaySendToken(u *url.URL) bool {
	return u.Scheme != "http" || c.Shared.InsecureEndpoint || isLoopback(u.Hostname())
}

// isLoopback reports whether host is localhost, in 127.0.0.0/8, or ::1. It must agree with net/http,
// which bypasses the proxy only for these hosts. With different case or an IPv6 zone, the token would
// go to a proxy.
func isLoopback(host string) bool { return host == "localhost" || net.ParseIP(host).IsLoopback() }

// endpointRegion returns the region in the name of an STS endpoint, including VPC endpoints, or "".
// https://docs.aws.amazon.com/general/latest/gr/sts.html
func endpointRegion(host string) string {
	if host == "sts.amazonaws.com" { // accepts only signatures for us-east-1
		return "us-east-1"
	}
	for label, rest, _ := strings.Cut(host, "."); rest != ""; label, rest, _ = strings.Cut(rest, ".") {
		next, _, more := strings.Cut(rest, ".")
		if region, other := explain.CutRegion(next); (label == "sts" || label == "sts-fips") && other == "" && more {
			return region
		}
	}
	return ""
}

// RegionMismatch returns a warning if the endpoint belongs to a different region, or "". STS rejects
// signatures for another region, but requests with a web identity are not signed.
func (c *Config) RegionMismatch() string {
	endpoint := c.Shared.Endpoint
	if c.Shared.STS != nil || c.Region == "" || endpoint == "" {
		return ""
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	region := endpointRegion(strings.ToLower(u.Hostname()))
	if region == "" || region == c.Region {
		return ""
	}
	return fmt.Sprintf("the STS endpoint %s belongs to %s, but the region is %s: role chains and other signed requests will fail", endpoint, region, c.Region)
}
