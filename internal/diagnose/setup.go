package diagnose

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
)

// checkEnvironment checks whether a role and a token source are configured, and reports where they
// are set.
func (d *diagnosis) checkEnvironment(context.Context) {
	if d.failIf(nameEnvironment, explain.HeadingNotInjected, explain.HeadingHalfInjected, explain.HeadingPodIdentity) {
		return
	}
	role, token := config.EnvRoleARN, config.EnvTokenFile
	if d.given.RoleARN != "" {
		role = "Options.RoleARN"
	}
	switch {
	case d.given.Token != nil:
		token = "Options.Token"
	case d.given.TokenFile != "":
		token = "Options.TokenFile"
	}
	d.pass(nameEnvironment, "the role is from %s, the token from %s", role, token)
}

// checkOtherCredentials checks whether the environment contains another identity that SDKs may use.
func (d *diagnosis) checkOtherCredentials(context.Context) {
	var found, advice []string
	if d.env.Lookup("AWS_ACCESS_KEY_ID") != "" {
		found = append(found, "AWS_ACCESS_KEY_ID is set: the credential chains of the SDKs use it instead of the role")
		advice = append(advice, "remove AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY from the pod")
	}
	if d.env.Lookup("AWS_PROFILE") != "" {
		found = append(found, "AWS_PROFILE is set: some SDKs use the profile instead of the role")
		advice = append(advice, "remove AWS_PROFILE from the pod")
	}
	switch set := d.env.Lookup(config.EnvContainerURI) != "" && d.result.has(nameEnvironment, Passed); {
	case set && d.env.HasPodIdentity():
		found = append(found, config.EnvContainerURI+" is set: the pod has EKS Pod Identity in addition to IRSA, and which one is used depends on the SDK")
		advice = append(advice, "choose one: delete the pod identity association, or remove "+config.EnvRoleARN+" and "+config.EnvTokenFile+" from the pod's own env (the EKS webhook sets them only without an association)")
	case set:
		found = append(found, config.EnvContainerURI+" is set: it depends on the SDK whether it uses that endpoint or IRSA")
		advice = append(advice, "choose one: remove "+config.EnvContainerURI+", or exclude the container from IRSA with the annotation eks.amazonaws.com/skip-containers of the pod")
	}
	if len(found) == 0 {
		d.pass(nameOtherCredentials, "no other credentials in the environment")
		return
	}
	d.add(nameOtherCredentials, Warned, strings.Join(found, "; ")+"; this library uses the role",
		explain.Advice{Heading: explain.HeadingOtherCredentials, Text: strings.Join(advice, "; ")})
}

// checkRole checks the role ARN and whether its partition matches the region's.
func (d *diagnosis) checkRole(context.Context) {
	if d.config.RoleARN == "" {
		d.skip(nameRole, "no role is configured")
		return
	}
	if d.failIf(nameRole, explain.HeadingRoleARN) {
		return
	}
	if f := d.facts(nil, nil); f.OtherPartition() != "" {
		d.otherPartition = true
		d.fail(nameRole,
			fmt.Errorf("%s is not in the partition of the region %s, which is %s: a role cannot be assumed from another partition", f.RoleARN, f.Region, f.OtherPartition()),
			explain.For(f))
		return
	}
	d.pass(nameRole, "%s", d.config.RoleARN)
}

// reviseRole replaces the advice for a role in another partition once the token is known. Its issuer
// shows whether the role or the region is wrong.
func (d *diagnosis) reviseRole() {
	for i := range d.result.Checks {
		if c := &d.result.Checks[i]; c.Name == nameRole && d.otherPartition {
			c.Advice = explain.OneLine(explain.For(d.facts(nil, nil)).Text)
		}
	}
}

// checkSettings checks the other settings.
func (d *diagnosis) checkSettings(context.Context) {
	if d.failIf(nameSettings, explain.HeadingSettings, explain.HeadingSessionDuration, explain.HeadingSessionPolicy, explain.HeadingTLS) {
		return
	}
	name, duration := "from the token", "an hour, the default"
	if d.config.SessionName != "" {
		name = d.config.SessionName
	}
	if d.config.Duration > 0 {
		duration = d.config.Duration.String()
	}
	d.pass(nameSettings, "the session name is %s, the duration %s", name, duration)
}

// checkRegion checks the region and reports where it is set.
func (d *diagnosis) checkRegion(context.Context) {
	if d.failIf(nameRegion, explain.HeadingRegion, explain.HeadingAudience) {
		return
	}
	region := d.config.Region
	switch {
	case region == "" && d.config.Shared.STS != nil:
		d.skip(nameRegion, "the client in Options.STS has its own region")
	case region == "":
		d.skip(nameRegion, "no region in %s or in the token", config.EnvRegion)
	case d.given.Region != "":
		d.pass(nameRegion, "%s, from Options.Region", region)
	case d.env.Lookup(config.EnvRegion) != "":
		d.pass(nameRegion, "%s, from %s", region, config.EnvRegion)
	case d.env.Lookup(config.EnvDefaultRegion) != "":
		d.pass(nameRegion, "%s, from %s", region, config.EnvDefaultRegion)
	default:
		d.pass(nameRegion, "%s, from the token's issuer", region)
	}
}

func (d *diagnosis) checkEndpoint(context.Context) {
	c := d.config
	if d.failIf(nameEndpoint, explain.HeadingEndpoint) {
		return
	}
	switch {
	case c.Shared.STS != nil:
		d.skip(nameEndpoint, "the application sets Options.STS")
		return
	case c.URL() == "" || d.result.has(nameSettings, Failed):
		d.skip(nameEndpoint, "an earlier check failed")
		return
	}
	if text := c.RegionMismatch(); text != "" {
		d.fail(nameEndpoint, errors.New(text), explain.Advice{Heading: explain.HeadingEndpoint, Text: explain.OtherRegion})
		return
	}
	if ignored := d.env.IgnoredVariables(c); len(ignored) > 0 {
		text := "unset or correct the variable, or set " + config.EnvEndpointSTS + " to the URL of the STS to use"
		if strings.HasPrefix(ignored[0], config.EnvProxy) { // the last in the list, and therefore the only one
			text = "correct " + config.EnvProxy + " (http://USER:PASSWORD@HOST:PORT): a % in its password must be written as %25, and it must not contain a line break. Until then, requests do not use the proxy"
		}
		d.add(nameEndpoint, Warned, c.URL()+"; "+strings.Join(ignored, "; "), explain.Advice{Heading: explain.HeadingNotFollowed, Text: text})
		return
	}
	d.pass(nameEndpoint, "%s", c.URL())
}
