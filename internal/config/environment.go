package config

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"strconv"
	"strings"

	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/tokenfile"
)

// Variables set by the EKS webhook (amazon-eks-pod-identity-webhook, pkg/handler/handler.go), and
// others from the AWS SDKs and Tools Reference Guide.
const (
	EnvRoleARN        = "AWS_ROLE_ARN"
	EnvTokenFile      = "AWS_WEB_IDENTITY_TOKEN_FILE"
	EnvSessionName    = "AWS_ROLE_SESSION_NAME"
	EnvRegion         = "AWS_REGION"
	EnvDefaultRegion  = "AWS_DEFAULT_REGION"
	EnvEndpointSTS    = "AWS_ENDPOINT_URL_STS"
	EnvEndpoint       = "AWS_ENDPOINT_URL"
	EnvIgnoreEndpoint = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
	EnvFIPS           = "AWS_USE_FIPS_ENDPOINT"
	EnvDualStack      = "AWS_USE_DUALSTACK_ENDPOINT"
	EnvCABundle       = "AWS_CA_BUNDLE"
	EnvRegionalSTS    = "AWS_STS_REGIONAL_ENDPOINTS"
	EnvAppID          = "AWS_SDK_UA_APP_ID"
	EnvContainerURI   = "AWS_CONTAINER_CREDENTIALS_FULL_URI" // set by EKS Pod Identity and for sidecars
	EnvProxy          = "HTTPS_PROXY"
)

// Environment holds the functions that read environment variables, files and tokens.
type Environment struct {
	Getenv func(name string) string
	Open   func(path string) (fs.File, error)
	Token  func(context.Context, *Config) (tokenfile.Token, error) // calls the Config's token source
}

// Lookup returns the value of an environment variable, with any token in it hidden. It trims white
// space, which manifests can add.
func (env Environment) Lookup(name string) string {
	return explain.HideToken(strings.TrimSpace(env.Getenv(name)))
}

// setDefaults sets fields that default to environment variables, except for the token file.
func (env Environment) setDefaults(c *Config, errs *Errors) {
	c.RoleARN = cmp.Or(explain.HideToken(c.RoleARN), env.Lookup(EnvRoleARN))
	c.SessionName = cmp.Or(explain.HideToken(c.SessionName), env.Lookup(EnvSessionName))
	c.Region = cmp.Or(explain.HideToken(c.Region), env.Lookup(EnvRegion), env.Lookup(EnvDefaultRegion))
	c.Shared.FIPS = env.lookupBool(EnvFIPS, errs)
	c.Shared.DualStack = env.lookupBool(EnvDualStack, errs)
	if !env.lookupBool(EnvIgnoreEndpoint, errs) {
		c.Shared.Endpoint = cmp.Or(c.Shared.Endpoint, env.Lookup(EnvEndpointSTS))
	}
	c.Shared.Endpoint = explain.HideToken(c.Shared.Endpoint)
	c.Shared.AppID = cmp.Or(c.Shared.AppID, env.Lookup(EnvAppID))
	if len(c.Shared.AppID) > maxAppID {
		errs.Add(explain.HeadingSettings, fmt.Errorf("the application ID has %d bytes; the maximum is %d: shorten Options.AppID or %s", len(c.Shared.AppID), maxAppID, EnvAppID))
	}
	c.Shared.podIdentity, c.Shared.otherEndpoint = env.HasPodIdentity(), env.Lookup(EnvContainerURI) != ""
}

// HasPodIdentity reports whether the pod uses EKS Pod Identity. Sidecars use the same variable,
// but only the EKS Pod Identity agent has these addresses.
// https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html
func (env Environment) HasPodIdentity() bool {
	u, err := url.Parse(env.Lookup(EnvContainerURI))
	return err == nil && (u.Hostname() == "169.254.170.23" || u.Hostname() == "fd00:ec2::23")
}

func (env Environment) lookupBool(name string, errs *Errors) bool {
	text := env.Lookup(name)
	if text == "" {
		return false
	}
	on, err := strconv.ParseBool(strings.ToLower(text))
	if err != nil {
		errs.Add(explain.HeadingSettings, fmt.Errorf("%s is %s, not true or false", name, explain.Quote(text)))
	}
	return on
}

// IgnoredVariables returns warnings about variables that are set but have no effect.
func (env Environment) IgnoredVariables(c *Config) []string {
	var out []string
	if strings.EqualFold(env.Lookup(EnvRegionalSTS), "legacy") {
		out = append(out, EnvRegionalSTS+"=legacy is ignored: requests always go to the regional STS endpoint")
	}
	if env.Lookup(EnvEndpoint) != "" && c.Shared.Endpoint == "" && c.Shared.STS == nil {
		out = append(out, EnvEndpoint+" is ignored: the token is sent only to STS")
	}
	if !isProxy(cmp.Or(env.Getenv(EnvProxy), env.Getenv(strings.ToLower(EnvProxy)))) && c.Shared.HTTPClient == nil && c.Shared.STS == nil {
		out = append(out, EnvProxy+" is ignored: it is not a URL") // it may contain a password
	}
	return out
}

// isProxy reports whether net/http can parse a proxy address. If it cannot, net/http connects
// directly.
func isProxy(address string) bool {
	_, err := url.Parse(address)
	if err != nil {
		_, err = url.Parse("http://" + address)
	}
	return err == nil
}

// Warnings returns warnings about settings that are valid but probably mistaken.
func (env Environment) Warnings(c *Config) []string {
	out := env.IgnoredVariables(c)
	if text := c.RegionMismatch(); text != "" {
		out = append(out, text+": "+explain.OtherRegion)
	}
	if other := (explain.Facts{RoleARN: c.RoleARN, Region: c.Region}).OtherPartition(); other != "" {
		out = append(out, fmt.Sprintf("the region %s is in the partition %s, but the role %s is not: correct the role ARN or the region", c.Region, other, c.RoleARN))
	}
	if isAPIServerToken(c.TokenFile) {
		out = append(out, c.TokenFile+" is the token for the Kubernetes API server, not the IRSA token: let "+EnvTokenFile+" name one with the audience "+explain.STSAudience)
	}
	return out
}

// isAPIServerToken reports whether path is the token that Kubernetes mounts into every pod.
// https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
func isAPIServerToken(path string) bool {
	path = strings.TrimPrefix(strings.ReplaceAll(path, "\\", "/"), "C:") // on Windows
	return strings.HasPrefix(strings.TrimPrefix(path, "/var"), "/run/secrets/kubernetes.io/serviceaccount/")
}

// notInjected returns an error that names the missing variables.
func (c *Config) notInjected() (explain.Heading, error) {
	const podIdentity = ": this pod uses EKS Pod Identity instead of IRSA"
	switch hasRole, hasToken := c.RoleARN != "", c.TokenFile != "" || c.Token != nil; {
	case hasToken && c.Shared.podIdentity && !c.OwnToken:
		return explain.HeadingPodIdentity, fmt.Errorf("there is a token, but %s is not set"+podIdentity, EnvRoleARN)
	case hasRole && c.Shared.podIdentity:
		return explain.HeadingPodIdentity, fmt.Errorf("there is a role, but %s is not set"+podIdentity, EnvTokenFile)
	case hasToken:
		return explain.HeadingHalfInjected, fmt.Errorf("there is a token, but %s is not set", EnvRoleARN)
	case hasRole:
		return explain.HeadingHalfInjected, fmt.Errorf("there is a role, but %s is not set", EnvTokenFile)
	case c.Shared.podIdentity:
		return explain.HeadingPodIdentity, notInjectedError(fmt.Sprintf("%s and %s are not set"+podIdentity, EnvRoleARN, EnvTokenFile))
	case c.Shared.otherEndpoint:
		return explain.HeadingNotInjected, notInjectedError(fmt.Sprintf("%s and %s are not set, but %s is", EnvRoleARN, EnvTokenFile, EnvContainerURI))
	default:
		return explain.HeadingNotInjected, notInjectedError(fmt.Sprintf("%s and %s are not set", EnvRoleARN, EnvTokenFile))
	}
}

// notInjectedError is an ErrNotInjected with a specific message.
type notInjectedError string

func (e notInjectedError) Error() string      { return string(e) }
func (notInjectedError) Is(target error) bool { return target == explain.ErrNotInjected }
