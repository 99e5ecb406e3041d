package irsa

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
)

// The variables that the EKS webhook sets (amazon-eks-pod-identity-webhook,
// pkg/handler/handler.go) and those of the AWS SDKs and Tools Reference Guide.
const (
	envRoleARN        = "AWS_ROLE_ARN"
	envTokenFile      = "AWS_WEB_IDENTITY_TOKEN_FILE"
	envSessionName    = "AWS_ROLE_SESSION_NAME"
	envRegion         = "AWS_REGION"
	envDefaultRegion  = "AWS_DEFAULT_REGION"
	envEndpointSTS    = "AWS_ENDPOINT_URL_STS"
	envEndpoint       = "AWS_ENDPOINT_URL"
	envIgnoreEndpoint = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
	envFIPS           = "AWS_USE_FIPS_ENDPOINT"
	envDualStack      = "AWS_USE_DUALSTACK_ENDPOINT"
	envCABundle       = "AWS_CA_BUNDLE"
	envRegionalSTS    = "AWS_STS_REGIONAL_ENDPOINTS"
)

// environment is what New reads of the process's environment, once.
type environment struct {
	roleARN, tokenFile, sessionName string
	region, endpoint, caBundle      string
	fips, dualStack                 bool
}

func readEnvironment(faults *faults) environment {
	e := environment{
		roleARN:     lookup(envRoleARN),
		tokenFile:   lookup(envTokenFile),
		sessionName: lookup(envSessionName),
		region:      lookup(envRegion),
		endpoint:    lookup(envEndpointSTS),
		caBundle:    lookup(envCABundle),
		fips:        lookupBool(envFIPS, faults),
		dualStack:   lookupBool(envDualStack, faults),
	}
	if e.region == "" {
		e.region = lookup(envDefaultRegion)
	}
	if lookupBool(envIgnoreEndpoint, faults) {
		e.endpoint = ""
	}
	return e
}

// lookup returns a variable without white space around it, which manifests add.
func lookup(name string) string { return strings.TrimSpace(os.Getenv(name)) }

func lookupBool(name string, faults *faults) bool {
	text := lookup(name)
	if text == "" {
		return false
	}
	on, err := strconv.ParseBool(strings.ToLower(text))
	if err != nil {
		faults.add(fmt.Errorf("%s is %q: set it to true or false", name, text))
	}
	return on
}

// warnNotFollowed logs the variables that somebody set in vain.
func warnNotFollowed(logger *slog.Logger, usesEndpoint bool) {
	if strings.EqualFold(lookup(envRegionalSTS), "legacy") {
		logger.Warn("irsa: not followed: STS is always asked in the region", "variable", envRegionalSTS, "value", "legacy")
	}
	if lookup(envEndpoint) != "" && !usesEndpoint {
		logger.Warn("irsa: not followed: the token goes to STS only; set "+envEndpointSTS+" if that is meant", "variable", envEndpoint)
	}
}
