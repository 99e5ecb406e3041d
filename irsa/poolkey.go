package irsa

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
	"unique"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
)

// RoleOptions identify a role of a [Pool]. Zero fields default to the Pool's values.
// [Pool.Provider] returns the same Provider for equal RoleOptions, regardless of Tenant.
type RoleOptions struct {
	// RoleARN is the role to assume. If empty, it defaults to the Pool's own role (by default
	// AWS_ROLE_ARN), even if Token is set. Reject tenant configurations that do not set RoleARN.
	RoleARN string

	Token       TokenSource // compared by its Identity
	SessionName string
	Region      string // also applies to an *sts.Client in Options.STS
	Duration    time.Duration
	Policy      string
	PolicyARNs  []string // in no particular order

	// Chain describes a role chain of up to 16 roles. The first role is assumed with the credentials
	// of RoleARN, and each subsequent role with the credentials of its predecessor. The Provider is
	// for the last role. Each link is a role of the Pool, and chains that begin with equal links share
	// them. A link is not evicted while the Pool contains a chain that uses it and has had
	// credentials.
	Chain []ChainedRole

	// Tenant names the tenant that the role counts against. It is limited to 4,096 bytes. If empty,
	// the identity of the token source or the path of the token file is used. A Pool is fair between
	// tenants: a tenant cannot evict the roles of another tenant that is within its share. Tenant has
	// no effect if the role is already in the Pool, because equal roles of two tenants share a
	// Provider, which counts against the tenant that requested it first. The same applies to the
	// links of a chain, including the role that the chain begins with.
	Tenant string
}

// ChainedRole describes a role in a role chain (see [RoleOptions]). The role's trust policy must allow
// its predecessor in the chain, which needs the permission sts:AssumeRole for the role, as well as
// sts:TagSession if there are tags and sts:SetSourceIdentity if there is a source identity.
type ChainedRole struct {
	RoleARN           string
	ExternalID        string            // required by the trust policy; 2 to 1,224 letters, digits and the characters _+=,.@:/-
	SessionName       string            // defaults to that of the predecessor
	Tags              map[string]string // session tags, at most 50
	TransitiveTagKeys []string          // tags inherited by subsequent roles, in no particular order
	SourceIdentity    string            // 2 to 64 letters, digits and the characters _+=,.@-; inherited by subsequent roles
	Policy            string            // a session policy in JSON
	PolicyARNs        []string          // managed policies that restrict the session, in no particular order
	Duration          time.Duration     // 15 minutes to 1 hour, in whole seconds; the default is 1 hour
}

// roleKey identifies a role of a Pool. It contains everything that its credentials depend on.
type roleKey struct {
	source *Provider // the source of a link in a role chain; nil for a web identity
	role   string
	rest   unique.Handle[restKey]
}

// restKey is the part of a roleKey that is stored once for all roles with the same token and settings.
type restKey struct {
	session, region, policy string
	lists                   string // see encode
	token                   config.SourceKey
	duration                time.Duration
}

// setDefaults sets the zero fields of opts to the Pool's values.
func (p *Pool) setDefaults(opts *RoleOptions) {
	c := p.config
	opts.RoleARN = cmp.Or(opts.RoleARN, c.RoleARN)
	opts.SessionName = cmp.Or(opts.SessionName, c.SessionName)
	opts.Region = cmp.Or(c.Shared.Region(opts.Region), c.Region)
	opts.Duration = cmp.Or(opts.Duration, c.Duration)
	opts.Policy = cmp.Or(opts.Policy, c.Policy)
	if opts.Token == nil {
		opts.Token = c.Token
	}
	if opts.PolicyARNs == nil {
		opts.PolicyARNs = c.PolicyARNs
	}
}

// withinLimits reports whether all options are within their length limits, which keeps their key
// small.
func (opts *RoleOptions) withinLimits(sourceKey config.SourceKey) bool {
	for i := range opts.Chain {
		if i == config.MaxChain || !opts.Chain[i].withinLimits() {
			return false
		}
	}
	return len(opts.RoleARN) <= config.MaxARN && len(opts.SessionName) <= config.MaxSessionName && len(opts.Region) <= config.MaxRegion &&
		len(sourceKey.Identity) <= config.MaxIdentity && len(opts.Tenant) <= config.MaxIdentity && config.ValidatePolicies(opts.Policy, opts.PolicyARNs) == nil
}

// withinLimits reports whether the options are short enough for a key. Options that STS accepts always
// are.
func (r *ChainedRole) withinLimits() bool {
	if len(r.Tags) > config.MaxTags || len(r.TransitiveTagKeys) > config.MaxTags || len(r.PolicyARNs) > config.MaxTags {
		return false
	}
	size := len(r.RoleARN) + len(r.ExternalID) + len(r.SessionName) + len(r.SourceIdentity) + len(r.Policy)
	for key, value := range r.Tags {
		size += len(key) + len(value)
	}
	for _, text := range r.TransitiveTagKeys {
		size += len(text)
	}
	for _, text := range r.PolicyARNs {
		size += len(text)
	}
	return size <= config.MaxChainedRole
}

// role returns the config of a role and any errors in it.
func (p *Pool) role(opts *RoleOptions, source config.SourceKey) (*config.Config, config.Errors) {
	c := *p.config
	c.RoleARN, c.SessionName, c.Region, c.Duration, c.Policy = opts.RoleARN, opts.SessionName, opts.Region, opts.Duration, opts.Policy
	c.PolicyARNs, c.Token, c.Source, c.Tenant = config.CopyPolicyARNs(opts.PolicyARNs), opts.Token, source, opts.Tenant
	if source != p.config.Source {
		c.TokenFile = ""
	}
	return &c, c.ResolveRole(p.config)
}

// link returns the config of the role at index i of a role chain, and any errors in it. source is the
// config of the role's predecessor.
func (p *Pool) link(source *config.Config, role *ChainedRole, i int) (*config.Config, config.Errors) {
	c, errs := source.Derive(role.RoleARN), config.Errors{}
	switch {
	case i == config.MaxChain:
		errs.Add(explain.HeadingInvalidRequest, fmt.Errorf("the role chain has more than %d roles", config.MaxChain))
	case !role.withinLimits():
		errs.Add(explain.HeadingInvalidRequest, fmt.Errorf("the options of a role of the chain have more than %d tags, transitive tag keys or policies, or more than %d bytes", config.MaxTags, config.MaxChainedRole))
	default:
		var options stscreds.AssumeRoleOptions
		role.apply(&options)
		errs = c.SetChainOptions(&options)
		errs.Add(explain.HeadingSettings, checkAssumeRole(p.resources))
	}
	return c, errs
}

// target returns the ARN of the last role of the chain, or RoleARN if there is no chain.
func (opts *RoleOptions) target() string {
	if n := len(opts.Chain); n > 0 {
		return opts.Chain[n-1].RoleARN
	}
	return opts.RoleARN
}

// optionsOf returns the options and the token source key of a Provider in a Pool.
func optionsOf(p *Provider) (*RoleOptions, config.SourceKey) {
	var chain []ChainedRole
	tenant := p.config.Tenant // the chain's first role may belong to another tenant
	for ; p.chain != nil; p = p.chain.source {
		chain = append(chain, *p.chain.role())
	}
	slices.Reverse(chain)
	c := p.config
	return &RoleOptions{
		RoleARN: c.RoleARN, Token: c.Token, SessionName: c.SessionName, Region: c.Region, Duration: c.Duration,
		Policy: c.Policy, PolicyARNs: c.PolicyARNs, Chain: chain, Tenant: tenant,
	}, c.Source
}

// keyOfProvider returns the key of a Provider in a Pool.
func keyOfProvider(p *Provider) roleKey {
	if p.chain != nil {
		return linkKey(p.chain.role(), p.chain.source)
	}
	return p.pool.keyOf(optionsOf(p))
}

// keyOf returns the key of opts without their chain. Their defaults must have been set.
func (p *Pool) keyOf(opts *RoleOptions, sourceKey config.SourceKey) roleKey {
	rest := restKey{token: sourceKey, session: opts.SessionName, region: opts.Region, policy: opts.Policy, duration: opts.Duration}
	if len(opts.PolicyARNs) > 0 {
		rest.lists = encode(sorted(opts.PolicyARNs))
	}
	handle := p.own // most roles have it
	if handle.Value() != rest {
		handle = unique.Make(rest)
	}
	return roleKey{role: opts.RoleARN, rest: handle}
}

// linkKey returns the key of a link in a role chain. source is the link's predecessor.
func linkKey(r *ChainedRole, source *Provider) roleKey {
	rest := restKey{session: r.SessionName, policy: r.Policy, duration: cmp.Or(r.Duration, config.MaxChainedDuration)}
	if len(r.PolicyARNs)+len(r.Tags)+len(r.TransitiveTagKeys) > 0 || r.ExternalID != "" || r.SourceIdentity != "" {
		var tags []string
		for _, name := range slices.Sorted(maps.Keys(r.Tags)) {
			tags = append(tags, name, r.Tags[name])
		}
		rest.lists = encode(sorted(r.PolicyARNs), tags, slices.Compact(sorted(r.TransitiveTagKeys)), []string{r.ExternalID, r.SourceIdentity})
	}
	return roleKey{source, r.RoleARN, unique.Make(rest)}
}

func sorted(texts []string) []string { return slices.Sorted(slices.Values(texts)) }

// encode returns an unambiguous encoding of a fixed number of lists.
func encode(lists ...[]string) string {
	var out []byte
	for _, list := range lists {
		out = strconv.AppendInt(out, int64(len(list)), 10)
		for _, text := range list {
			out = append(strconv.AppendInt(append(out, ','), int64(len(text)), 10), ':')
			out = append(out, text...)
		}
		out = append(out, ';')
	}
	return string(out)
}

// apply sets the SDK's options to those of r.
func (r *ChainedRole) apply(o *stscreds.AssumeRoleOptions) {
	o.RoleARN, o.RoleSessionName, o.Duration = r.RoleARN, r.SessionName, cmp.Or(r.Duration, config.MaxChainedDuration)
	o.ExternalID, o.SourceIdentity, o.Policy = optional(r.ExternalID), optional(r.SourceIdentity), optional(r.Policy)
	o.TransitiveTagKeys = slices.Compact(sorted(r.TransitiveTagKeys))
	for _, policy := range sorted(r.PolicyARNs) {
		o.PolicyARNs = append(o.PolicyARNs, types.PolicyDescriptorType{Arn: aws.String(policy)})
	}
	for _, name := range slices.Sorted(maps.Keys(r.Tags)) {
		o.Tags = append(o.Tags, types.Tag{Key: aws.String(name), Value: aws.String(r.Tags[name])})
	}
}

// optional returns a pointer to text, or nil if text is empty.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// chainedRoleOf converts the SDK's options to a ChainedRole. ok is false if a ChainedRole cannot
// represent them, for example because they contain a client other than the given one.
func chainedRoleOf(o *stscreds.AssumeRoleOptions, client stscreds.AssumeRoleAPIClient) (r ChainedRole, ok bool) {
	if o.Client != client || o.SerialNumber != nil || o.TokenProvider != nil || max(len(o.Tags), len(o.TransitiveTagKeys), len(o.PolicyARNs)) > config.MaxTags {
		return r, false
	}
	ok = true
	text := func(s *string, mayBeEmpty bool) string {
		if s == nil {
			return ""
		}
		ok = ok && (mayBeEmpty || *s != "") // a ChainedRole never sends an empty string
		return *s
	}
	r = ChainedRole{
		RoleARN: o.RoleARN, SessionName: o.RoleSessionName, Duration: cmp.Or(o.Duration, stscreds.DefaultDuration),
		ExternalID: text(o.ExternalID, false), SourceIdentity: text(o.SourceIdentity, false), Policy: text(o.Policy, false),
		TransitiveTagKeys: slices.Clone(o.TransitiveTagKeys), Tags: map[string]string{},
	}
	for _, policy := range o.PolicyARNs {
		r.PolicyARNs = append(r.PolicyARNs, text(policy.Arn, false))
	}
	for _, tag := range o.Tags {
		ok = ok && tag.Key != nil && tag.Value != nil
		r.Tags[text(tag.Key, false)] = text(tag.Value, true)
	}
	return r, ok && len(r.Tags) == len(o.Tags) && r.withinLimits()
}
