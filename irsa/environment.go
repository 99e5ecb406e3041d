package irsa

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"github.com/irsakit/irsakit/internal/explain"
)

// The variables that the EKS webhook sets (amazon-eks-pod-identity-webhook,
// pkg/handler/handler.go), and others from the AWS SDKs and Tools Reference Guide.
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
	envContainerURI   = "AWS_CONTAINER_CREDENTIALS_FULL_URI" // set by EKS Pod Identity
)

// environment contains the environment variables that New reads, once.
type environment struct {
	roleARN, tokenFile, sessionName string
	region, endpoint, caBundle      string
	fips, dualStack                 bool
}

func readEnvironment(errs *configErrors) environment {
	e := environment{
		roleARN:     lookup(envRoleARN),
		tokenFile:   lookup(envTokenFile),
		sessionName: lookup(envSessionName),
		region:      lookup(envRegion),
		endpoint:    lookup(envEndpointSTS),
		caBundle:    lookup(envCABundle),
		fips:        lookupBool(envFIPS, errs),
		dualStack:   lookupBool(envDualStack, errs),
	}
	if e.region == "" {
		e.region = lookup(envDefaultRegion)
	}
	if lookupBool(envIgnoreEndpoint, errs) {
		e.endpoint = ""
	}
	return e
}

// lookup returns a variable without surrounding white space, which manifests can add.
func lookup(name string) string { return strings.TrimSpace(os.Getenv(name)) }

func lookupBool(name string, errs *configErrors) bool {
	text := lookup(name)
	if text == "" {
		return false
	}
	on, err := strconv.ParseBool(strings.ToLower(text))
	if err != nil {
		errs.add(explain.HeadingSettings, fmt.Errorf("%s is %s: set it to true or false", name, explain.Quote(text)))
	}
	return on
}

// ignoredVariables returns warnings about variables that are set but ignored.
func ignoredVariables(hasEndpoint bool) []string {
	var out []string
	if strings.EqualFold(lookup(envRegionalSTS), "legacy") {
		out = append(out, envRegionalSTS+"=legacy is not followed: STS is always asked in the region")
	}
	if lookup(envEndpoint) != "" && !hasEndpoint {
		out = append(out, envEndpoint+" is not followed: the token goes to STS only")
	}
	return out
}

// warn logs warnings about settings that are valid, but probably mistakes.
func (c *config) warn() {
	for _, text := range ignoredVariables(c.Endpoint != "" || c.STS != nil) {
		c.log(slog.LevelWarn, "irsa: "+text)
	}
	if text := c.regionMismatch(); text != "" {
		c.log(slog.LevelWarn, "irsa: "+text+": "+explain.OtherRegion)
	}
}

// notInjected returns an error that tells which of the webhook's two variables is missing, and
// the likely reason.
func (c *config) notInjected() (explain.Heading, error) {
	const whole = "the EKS webhook sets both in the pods of a service account that has the annotation eks.amazonaws.com/role-arn, while they are created"
	hasRole, hasToken := c.RoleARN != "", c.TokenFile != "" || c.tokens != nil
	switch {
	case hasToken:
		return explain.HeadingHalfInjected, fmt.Errorf("there is a token, but neither %s nor Options.RoleARN is set: %s, but neither of them in a container that has one already: remove %s from the container's own env, and recreate the pod", envRoleARN, whole, envTokenFile)
	case hasRole:
		return explain.HeadingHalfInjected, fmt.Errorf("there is a role, but neither %s nor Options.TokenFile is set: %s, but neither of them in a container that has one already: remove %s from the container's own env, and recreate the pod", envTokenFile, whole, envRoleARN)
	case lookup(envContainerURI) != "":
		return explain.HeadingPodIdentity, fmt.Errorf("%s and %s are not set, but %s is: this pod has EKS Pod Identity instead of IRSA: use the SDK's own credentials, or delete the pod identity association and annotate the service account", envRoleARN, envTokenFile, envContainerURI)
	default:
		return explain.HeadingNotInjected, fmt.Errorf("%s and %s are not set: %s: check the annotation, and recreate the pod", envRoleARN, envTokenFile, whole)
	}
}
