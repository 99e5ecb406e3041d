package irsa

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// RoleOptions say which role [Pool.Provider] is to give. What is zero is the Pool's. Equal
// RoleOptions give the same Provider.
type RoleOptions struct {
	RoleARN     string
	Token       TokenSource // by its Identity
	SessionName string
	Region      string
	Duration    time.Duration
	Policy      string
	PolicyARNs  []string // in any order
}

// roleKey is everything that decides which credentials a role has.
type roleKey struct {
	role, session, region, policy, policyARNs string
	token                                     tokenKey
	duration                                  time.Duration
}

// tokenKey tells whose tokens they are: what Identity calls it, or a file's path.
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

// complete returns the options with what the roles have in common.
func (p *Pool) complete(opts RoleOptions) RoleOptions {
	s := &p.settings
	opts.RoleARN = cmp.Or(opts.RoleARN, s.RoleARN)
	opts.SessionName = cmp.Or(opts.SessionName, s.SessionName)
	opts.Region = cmp.Or(opts.Region, s.Region)
	opts.Duration = cmp.Or(opts.Duration, s.Duration)
	opts.Policy = cmp.Or(opts.Policy, s.Policy)
	if opts.Token == nil {
		opts.Token = s.tokens
	}
	if opts.PolicyARNs == nil {
		opts.PolicyARNs = s.PolicyARNs
	}
	return opts
}

// fit reports whether no option is longer than any valid one, so that a key can be made of them.
func (opts RoleOptions) fit(whose tokenKey) bool {
	return len(opts.RoleARN) <= maxARN && len(opts.SessionName) <= maxSessionName && len(opts.Region) <= maxRegion &&
		len(whose.identity) <= maxIdentity && validatePolicies(opts.Policy, opts.PolicyARNs) == nil
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

// key is that of the options that the settings were made of.
func (s *settings) key() roleKey {
	return keyOf(RoleOptions{s.RoleARN, s.tokens, s.SessionName, s.Region, s.Duration, s.Policy, s.PolicyARNs}, s.whose)
}

// keyOf returns what tells complete options from others.
func keyOf(opts RoleOptions, whose tokenKey) roleKey {
	key := roleKey{role: opts.RoleARN, token: whose, session: opts.SessionName, region: opts.Region, policy: opts.Policy, duration: opts.Duration}
	if len(opts.PolicyARNs) == 0 {
		return key
	}
	for _, policy := range slices.Sorted(slices.Values(opts.PolicyARNs)) {
		key.policyARNs += strconv.Itoa(len(policy)) + ":" + policy // no list looks like another
	}
	return key
}
