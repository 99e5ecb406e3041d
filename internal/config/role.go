package config

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/irsakit/irsakit/internal/explain"
)

// ResolveRole resolves the endpoint for a role of a Pool and returns the errors in c. The role and
// its session come from c, and everything else from the Pool.
func (c *Config) ResolveRole(pool *Config) Errors {
	var errs Errors
	c.RoleARN = explain.HideToken(c.RoleARN)
	c.OwnRole, c.OwnToken = pool.OwnRole || c.RoleARN != pool.RoleARN, true // other roles share the token
	errs.Add(explain.HeadingTokenSource, c.Source.validate(c.Token))
	c.validateRole(&errs)
	if len(c.Tenant) > MaxIdentity {
		errs.Add(explain.HeadingSettings, fmt.Errorf("the tenant's name has %d bytes; the maximum is %d", len(c.Tenant), MaxIdentity))
	}
	switch {
	case c.Region == pool.Region:
	case c.Shared.STS != nil && !isClient(c.Shared.STS):
		errs.Add(explain.HeadingRegion, errors.New("a role sets its own region, but Options.STS is not an *sts.Client"))
	default:
		c.OwnRegion = true
		errs.Add(explain.HeadingRegion, validateRegion(c.Region))
		errs.Add(explain.HeadingEndpoint, c.resolveEndpoint())
	}
	if c.Region == "" && c.Shared.STS == nil {
		errs.Add(explain.HeadingRegion, errors.New("no region is set, neither in the Pool nor in the role"))
	}
	return errs
}

func isClient(client stscreds.AssumeRoleWithWebIdentityAPIClient) bool {
	_, ok := client.(*sts.Client)
	return ok
}

// MaxChainedDuration is the maximum duration of a session in a role chain.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
const MaxChainedDuration = time.Hour

// Derive returns the Config of a role that c's role assumes, without session options.
func (c *Config) Derive(roleARN string) *Config {
	derived := *c
	derived.RoleARN, derived.TokenFile, derived.Token, derived.Chained = explain.HideToken(roleARN), "", nil, true
	derived.SessionName, derived.Duration, derived.Policy, derived.PolicyARNs = "", 0, "", nil
	derived.ExternalID, derived.Tagged, derived.Identified = "", false, false
	return &derived
}

// SetChainOptions sets the options of a role chain session and returns the errors in them and in the
// role ARN. An ARN that contains a token is invalid, because Derive has replaced it.
func (c *Config) SetChainOptions(o *stscreds.AssumeRoleOptions) Errors {
	c.SessionName, c.Policy, c.Duration = o.RoleSessionName, aws.ToString(o.Policy), o.Duration
	c.ExternalID, c.Tagged, c.Identified = aws.ToString(o.ExternalID), len(o.Tags) > 0, o.SourceIdentity != nil
	for _, policy := range o.PolicyARNs[:min(len(o.PolicyARNs), maxPolicyARNs+1)] {
		c.PolicyARNs = append(c.PolicyARNs, aws.ToString(policy.Arn))
	}
	var errs Errors
	errs.Add(explain.HeadingInvalidRequest, validateChainOptions(o))
	errs.Add(explain.HeadingRoleARN, validateRoleARN(c.RoleARN))
	errs.Add(explain.HeadingSettings, validateSessionName(c.SessionName))
	if o.Duration > MaxChainedDuration {
		errs.Add(explain.HeadingSessionDuration, fmt.Errorf("the duration %v is longer than %v, the maximum in a role chain", o.Duration, MaxChainedDuration))
	} else {
		errs.Add(explain.HeadingSessionDuration, validateDuration(o.Duration))
	}
	errs.Add(explain.HeadingSessionPolicy, ValidatePolicies(c.Policy, c.PolicyARNs))
	if text := c.RegionMismatch(); c.OwnRegion && text != "" { // otherwise, New or NewPool warns
		errs.Add(explain.HeadingEndpoint, errors.New(text))
	}
	return errs
}

// CopyChainOptions returns a copy of o that does not refer to variables of the program. It sorts the
// transitive tag keys and removes duplicates.
func CopyChainOptions(o stscreds.AssumeRoleOptions) stscreds.AssumeRoleOptions {
	o.ExternalID, o.Policy, o.SourceIdentity, o.SerialNumber = clone(o.ExternalID), clone(o.Policy), clone(o.SourceIdentity), clone(o.SerialNumber)
	o.Tags, o.PolicyARNs = slices.Clone(o.Tags), slices.Clone(o.PolicyARNs)
	o.TransitiveTagKeys = slices.Compact(slices.Sorted(slices.Values(o.TransitiveTagKeys)))
	for i, tag := range o.Tags {
		o.Tags[i] = types.Tag{Key: clone(tag.Key), Value: clone(tag.Value)}
	}
	for i, policy := range o.PolicyARNs {
		o.PolicyARNs[i].Arn = clone(policy.Arn)
	}
	return o
}

// clone returns a pointer to a copy of text, or nil if text is nil.
func clone(text *string) *string {
	if text == nil {
		return nil
	}
	return aws.String(*text)
}

// CheckClient returns an error if the client of a role chain is unset or nil.
func CheckClient(client stscreds.AssumeRoleAPIClient) error {
	switch {
	case client == nil:
		return errors.New("the client is not set")
	case isNil(client):
		return fmt.Errorf("the client is a nil %T", client)
	default:
		return nil
	}
}

// externalIDSymbols contains the characters allowed in an external ID in addition to ASCII letters
// and digits.
const externalIDSymbols = "_+=,.@:/-"

// validateChainOptions checks the options specific to role chains against the limits in the
// AssumeRole API reference.
func validateChainOptions(o *stscreds.AssumeRoleOptions) error {
	const maxTagKey, maxTagValue, maxExternalID, maxSourceIdentity, maxSerialNumber = 128, 256, 1224, 64, 256
	switch {
	case len(o.Tags) > MaxTags || len(o.TransitiveTagKeys) > MaxTags:
		return fmt.Errorf("there are %d session tags and %d transitive tag keys; STS accepts at most %d", len(o.Tags), len(o.TransitiveTagKeys), MaxTags)
	case o.ExternalID != nil && !isIdentifier(*o.ExternalID, maxExternalID, externalIDSymbols):
		return fmt.Errorf("the external ID has %d bytes; STS accepts 2 to %d letters, digits and the characters %s", len(*o.ExternalID), maxExternalID, externalIDSymbols)
	case o.SourceIdentity != nil && !isIdentifier(*o.SourceIdentity, maxSourceIdentity, sessionNameSymbols):
		return fmt.Errorf("the source identity has %d bytes; STS accepts 2 to %d letters, digits and the characters %s", len(*o.SourceIdentity), maxSourceIdentity, sessionNameSymbols)
	case len(aws.ToString(o.SerialNumber)) > maxSerialNumber:
		return fmt.Errorf("the serial number has %d characters; STS accepts at most %d", len(*o.SerialNumber), maxSerialNumber)
	}
	for _, key := range o.TransitiveTagKeys {
		if n := utf8.RuneCountInString(key); n > maxTagKey {
			return fmt.Errorf("a transitive tag key has %d characters; STS accepts at most %d", n, maxTagKey)
		}
	}
	for _, tag := range o.Tags {
		key, value := utf8.RuneCountInString(aws.ToString(tag.Key)), utf8.RuneCountInString(aws.ToString(tag.Value))
		if key == 0 || tag.Value == nil {
			return errors.New("a session tag has no key or no value")
		}
		if key > maxTagKey || value > maxTagValue {
			return fmt.Errorf("a session tag has a key of %d characters and a value of %d; STS accepts at most %d and %d", key, value, maxTagKey, maxTagValue)
		}
	}
	return nil
}
