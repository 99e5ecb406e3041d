package irsa

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// RoleOptions identify a role of a [Pool]. A zero field has the Pool's value.
// [Pool.Provider] returns the same Provider for equal RoleOptions.
type RoleOptions struct {
	RoleARN     string
	Token       TokenSource // compared by its Identity
	SessionName string
	Region      string
	Duration    time.Duration
	Policy      string
	PolicyARNs  []string // in any order
}

// roleKey identifies a role of a Pool. It contains everything that its credentials depend on.
type roleKey struct {
	role, session, region, policy, policyARNs string
	token                                     tokenKey
	duration                                  time.Duration
}

// tokenKey identifies a token source: by its Identity, or by the path of the token file.
type tokenKey struct {
	identity string
	file     bool
}

func tokenKeyOf(source TokenSource) tokenKey {
	if source == nil {
		return tokenKey{}
	}
	_, file := source.(*fileSource)
	return tokenKey{source.Identity(), file}
}

// withDefaults returns opts with the Pool's values in its zero fields.
func (p *Pool) withDefaults(opts RoleOptions) RoleOptions {
	c := &p.config
	opts.RoleARN = cmp.Or(opts.RoleARN, c.RoleARN)
	opts.SessionName = cmp.Or(opts.SessionName, c.SessionName)
	opts.Region = cmp.Or(opts.Region, c.Region)
	opts.Duration = cmp.Or(opts.Duration, c.Duration)
	opts.Policy = cmp.Or(opts.Policy, c.Policy)
	if opts.Token == nil {
		opts.Token = c.tokens
	}
	if opts.PolicyARNs == nil {
		opts.PolicyARNs = c.PolicyARNs
	}
	return opts
}

// withinLimits reports whether all options are within their length limits, so that a key of them is
// small.
func (opts RoleOptions) withinLimits(sourceKey tokenKey) bool {
	return len(opts.RoleARN) <= maxARN && len(opts.SessionName) <= maxSessionName && len(opts.Region) <= maxRegion &&
		len(sourceKey.identity) <= maxIdentity && validatePolicies(opts.Policy, opts.PolicyARNs) == nil
}

// validate checks the identity of a token source.
func (k tokenKey) validate(source TokenSource) error {
	switch {
	case source == nil:
		return nil
	case k.identity == "":
		return errors.New("the token source has no identity, by which a Pool tells it from others")
	case len(k.identity) > maxIdentity:
		return fmt.Errorf("the identity of the token source has %d bytes, at most %d are possible", len(k.identity), maxIdentity)
	default:
		return nil
	}
}

// key returns the key of the options that the config was made from.
func (c *config) key() roleKey {
	return keyOf(RoleOptions{c.RoleARN, c.tokens, c.SessionName, c.Region, c.Duration, c.Policy, c.PolicyARNs}, c.sourceKey)
}

// keyOf returns the key of complete options.
func keyOf(opts RoleOptions, sourceKey tokenKey) roleKey {
	key := roleKey{role: opts.RoleARN, token: sourceKey, session: opts.SessionName, region: opts.Region, policy: opts.Policy, duration: opts.Duration}
	if len(opts.PolicyARNs) == 0 {
		return key
	}
	for _, policy := range slices.Sorted(slices.Values(opts.PolicyARNs)) {
		key.policyARNs += strconv.Itoa(len(policy)) + ":" + policy // unambiguous for any two lists
	}
	return key
}
