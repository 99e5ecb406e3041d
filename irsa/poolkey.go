package irsa

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/irsakit/irsakit/internal/config"
)

// RoleOptions identify a role of a [Pool]. A zero field has the Pool's value.
// [Pool.Provider] returns the same Provider for equal RoleOptions, regardless of Tenant.
type RoleOptions struct {
	RoleARN     string
	Token       TokenSource // compared by its Identity
	SessionName string
	Region      string
	Duration    time.Duration
	Policy      string
	PolicyARNs  []string // in any order

	// Tenant is the name of the tenant that the role counts for if it is not in the Pool yet. It
	// has at most 4,096 bytes. The default is the identity of the token source, or the path of
	// the token file. A Pool is fair between tenants: what one tenant asks for does not evict the
	// roles of another one that has no more than its share. Equal roles of two tenants share a
	// Provider, which counts for the tenant that asked first.
	Tenant string
}

// roleKey identifies a role of a Pool. It contains everything that its credentials depend on.
type roleKey struct {
	role, session, region, policy, policyARNs string
	token                                     config.SourceKey
	duration                                  time.Duration
}

// withDefaults returns opts with the Pool's values in its zero fields.
func (p *Pool) withDefaults(opts RoleOptions) RoleOptions {
	c := p.config
	opts.RoleARN = cmp.Or(opts.RoleARN, c.RoleARN)
	opts.SessionName = cmp.Or(opts.SessionName, c.SessionName)
	opts.Region = cmp.Or(opts.Region, c.Region)
	opts.Duration = cmp.Or(opts.Duration, c.Duration)
	opts.Policy = cmp.Or(opts.Policy, c.Policy)
	if opts.Token == nil {
		opts.Token = c.Token
	}
	if opts.PolicyARNs == nil {
		opts.PolicyARNs = c.PolicyARNs
	}
	return opts
}

// withinLimits reports whether all options are within their length limits, so that a key of them is
// small.
func (opts RoleOptions) withinLimits(sourceKey config.SourceKey) bool {
	return len(opts.RoleARN) <= config.MaxARN && len(opts.SessionName) <= config.MaxSessionName && len(opts.Region) <= config.MaxRegion &&
		len(sourceKey.Identity) <= config.MaxIdentity && len(opts.Tenant) <= config.MaxIdentity && config.ValidatePolicies(opts.Policy, opts.PolicyARNs) == nil
}

// configKey returns the key of the options that a Config was made from.
func configKey(c *config.Config) roleKey {
	return keyOf(RoleOptions{
		RoleARN: c.RoleARN, SessionName: c.SessionName, Region: c.Region, Duration: c.Duration, Policy: c.Policy, PolicyARNs: c.PolicyARNs,
	}, c.Source)
}

// keyOf returns the key of complete options.
func keyOf(opts RoleOptions, sourceKey config.SourceKey) roleKey {
	key := roleKey{role: opts.RoleARN, token: sourceKey, session: opts.SessionName, region: opts.Region, policy: opts.Policy, duration: opts.Duration}
	if len(opts.PolicyARNs) == 0 {
		return key
	}
	for _, policy := range slices.Sorted(slices.Values(opts.PolicyARNs)) {
		key.policyARNs += strconv.Itoa(len(policy)) + ":" + policy // unambiguous for any two lists
	}
	return key
}
