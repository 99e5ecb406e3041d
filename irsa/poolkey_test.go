package irsa_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa"
)

// randomChain returns the options of a random chain, and a string that is equal for equal options.
func randomChain(random *rand.Rand) ([]irsa.ChainedRole, []string) {
	pick := func(all ...string) string { return all[random.IntN(len(all))] }
	list := func(all ...string) (out []string) {
		for range random.IntN(3) {
			out = append(out, pick(all...))
		}
		return out
	}
	var chain []irsa.ChainedRole
	var texts []string
	for range 1 + random.IntN(3) {
		r := irsa.ChainedRole{
			RoleARN:           pick("arn:aws:iam::111122223333:role/a", "arn:aws:iam::111122223333:role/b"),
			ExternalID:        pick("", "", "11", "2:", "1:1"),
			SourceIdentity:    pick("", "", "alice", "11", "1,1"),
			SessionName:       pick("", "", "one"),
			Policy:            pick("", "", "{}"),
			PolicyARNs:        list("arn:aws:iam::111122223333:policy/a", "arn:aws:iam::111122223333:policy/b"),
			TransitiveTagKeys: list("team", "1", "2,1:a"),
			Duration:          []time.Duration{0, time.Hour, 30 * time.Minute}[random.IntN(3)],
		}
		for _, key := range list("team", "1", "1,1", "1:1", "2,1:a") {
			if r.Tags == nil {
				r.Tags = map[string]string{}
			}
			r.Tags[key] = pick("", "blue", "1", "1,1", "1:1,1:1")
		}
		normal := r
		normal.Duration = max(r.Duration, 30*time.Minute)
		if r.Duration == 0 {
			normal.Duration = time.Hour
		}
		normal.PolicyARNs = slices.Sorted(slices.Values(r.PolicyARNs))
		normal.TransitiveTagKeys = slices.Compact(slices.Sorted(slices.Values(r.TransitiveTagKeys)))
		text := fmt.Sprintf("%q", []any{
			normal.RoleARN, normal.ExternalID, normal.SourceIdentity, normal.SessionName, normal.Policy, normal.PolicyARNs,
			normal.TransitiveTagKeys, fmt.Sprintf("%q", normal.Tags), normal.Duration.String(),
		})
		chain, texts = append(chain, r), append(texts, text)
	}
	return chain, texts
}

// sdkOptions returns an option function for the same options, in a random order.
func sdkOptions(random *rand.Rand, r irsa.ChainedRole) func(*stscreds.AssumeRoleOptions) {
	return func(o *stscreds.AssumeRoleOptions) {
		set := func(field **string, text string) {
			if text != "" {
				*field = aws.String(text)
			}
		}
		set(&o.ExternalID, r.ExternalID)
		set(&o.SourceIdentity, r.SourceIdentity)
		set(&o.Policy, r.Policy)
		o.RoleSessionName, o.TransitiveTagKeys = r.SessionName, r.TransitiveTagKeys
		if r.Duration != 0 {
			o.Duration = r.Duration
		}
		for _, arn := range r.PolicyARNs {
			o.PolicyARNs = append(o.PolicyARNs, types.PolicyDescriptorType{Arn: aws.String(arn)})
		}
		keys := slices.Collect(maps.Keys(r.Tags))
		random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		for _, key := range keys {
			o.Tags = append(o.Tags, types.Tag{Key: aws.String(key), Value: aws.String(r.Tags[key])})
		}
	}
}

// Two chains share a Provider if and only if they are equal. Chains that begin with equal links share
// them.
func TestPoolSharesEqualChainsOnly(t *testing.T) {
	t.Parallel()
	_, pod, _ := newTenants(t, 0)
	p := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxRoles = 100_000 })
	random := rand.New(rand.NewPCG(1, 2))
	seen, providers := map[*irsa.Provider]string{}, map[string]*irsa.Provider{}
	for range testsize.Choose(2_000, 20_000, 50_000) {
		chain, texts := randomChain(random)
		var provider *irsa.Provider
		if random.IntN(2) == 0 {
			provider = pooled(t, p, irsa.RoleOptions{Chain: chain})
		} else {
			provider = pooled(t, p, irsa.RoleOptions{})
			for _, role := range chain {
				next, err := provider.AssumeRole(role.RoleARN, sdkOptions(random, role))
				require.NoError(t, err)
				provider = next
			}
		}
		text := strings.Join(texts, " / ")
		before, known := seen[provider]
		require.True(t, !known || before == text, "%s and %s share one", before, text)
		require.True(t, providers[text] == nil || providers[text] == provider, "%s has two", text)
		seen[provider], providers[text] = text, provider
		for i := range texts { // links are also roles of the Pool
			prefix := strings.Join(texts[:i+1], " / ")
			link := pooled(t, p, irsa.RoleOptions{Chain: chain[:i+1]})
			require.True(t, providers[prefix] == nil || providers[prefix] == link)
			seen[link], providers[prefix] = prefix, link
		}
	}
	require.Greater(t, len(seen), 1000)
	assert.Equal(t, 1+len(providers), p.Status().Roles)
}

type fixedAssumeRole struct{ calls atomic.Int64 }

func (f *fixedAssumeRole) AssumeRole(context.Context, *sts.AssumeRoleInput, ...func(*sts.Options)) (*sts.AssumeRoleOutput, error) {
	f.calls.Add(1)
	return nil, assert.AnError
}

func TestPoolAssumeRoleWithIncomparableOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod, roles := threeAccounts(t)
		p := newPool(t, pod)
		base := pooled(t, p, irsa.RoleOptions{RoleARN: roles[0].ARN()})
		client := &fixedAssumeRole{}
		for name, set := range map[string]func(*stscreds.AssumeRoleOptions){
			"TokenProvider": func(o *stscreds.AssumeRoleOptions) {
				o.TokenProvider = func() (string, error) { return "123456", nil }
				o.SerialNumber = aws.String("device")
			},
			"Client": func(o *stscreds.AssumeRoleOptions) { o.Client = client },
			"empty":  func(o *stscreds.AssumeRoleOptions) { o.Policy = aws.String("") },
			"twice": func(o *stscreds.AssumeRoleOptions) {
				tag := types.Tag{Key: aws.String("team"), Value: aws.String("blue")}
				o.Tags = []types.Tag{tag, tag}
			},
		} {
			first, err := base.AssumeRole(roles[1].ARN(), set)
			require.NoError(t, err, name)
			second, err := base.AssumeRole(roles[1].ARN(), set)
			require.NoError(t, err, name)
			assert.NotSame(t, first, second, name)
			assert.Equal(t, 1, p.Status().Roles, name)
			require.NoError(t, first.Close())
			_, err = first.Retrieve(t.Context())
			require.ErrorIs(t, err, irsa.ErrClosed, name)
		}
		own, err := base.AssumeRole(roles[1].ARN(), func(o *stscreds.AssumeRoleOptions) { o.Client = client })
		require.NoError(t, err)
		_, err = own.Retrieve(t.Context())
		require.Error(t, err)
		assert.Positive(t, client.calls.Load())
	})
}

func TestPoolRejectsInvalidChains(t *testing.T) {
	_, pod, roles := threeAccounts(t)
	p := newPool(t, pod)
	arn := roles[1].ARN()
	long := strings.Repeat("x", 10<<20)
	many := map[string]string{}
	for i := range 100_000 {
		many[fmt.Sprint(i)] = ""
	}
	for want, chain := range map[string][]irsa.ChainedRole{
		"is not the ARN of an IAM role":  {{RoleARN: arn}, {RoleARN: "far"}},
		"the maximum in a role chain":    {{RoleARN: arn, Duration: 2 * time.Hour}},
		"the session name":               {{RoleARN: arn, SessionName: "a b"}},
		"the external ID has 2000 bytes": {{RoleARN: arn, ExternalID: strings.Repeat("x", 2000)}},
		"more than 16 roles":             slices.Repeat([]irsa.ChainedRole{{RoleARN: arn}}, 17),
		"more than 50 tags":              {{RoleARN: arn, Tags: many}},
		"more than 50 tags, transitive":  {{RoleARN: arn, TransitiveTagKeys: slices.Repeat([]string{"a"}, 51)}},
		"more than 131072 bytes":         {{RoleARN: long}},
	} {
		_, err := p.Provider(irsa.RoleOptions{RoleARN: roles[0].ARN(), Chain: chain})
		require.ErrorIs(t, err, irsa.ErrNotConfigured, want)
		require.Contains(t, fmt.Sprintf("%+v", err), want)
		assert.LessOrEqual(t, len(err.Error()), 300, want)
		assert.Zero(t, p.Status().Roles, "no link of an invalid chain is created")
	}
	longest := pooled(t, p, irsa.RoleOptions{Chain: slices.Repeat([]irsa.ChainedRole{{RoleARN: arn}}, 16)})
	assert.Equal(t, 17, p.Status().Roles)
	_, err := longest.AssumeRole(arn)
	require.ErrorContains(t, err, "more than 16 roles")
}

// A tenant that may name the roles of its chains must not fill the memory.
func TestPoolBoundsChainsOfRolesNamedLikeTokens(t *testing.T) {
	_, pod, chains := tenantChains(t, 1)
	p := newPool(t, pod, func(o *irsa.PoolOptions) { o.MaxRoles = 3 })
	for i := range 20 {
		chains[0].Chain[0].RoleARN = fmt.Sprintf("arn:aws:iam::444455556666:role/eyJhbGciOiJIUzI1NiJ9.e30.c2ln%04d", i)
		_, err := p.Provider(chains[0])
		require.ErrorIs(t, err, irsa.ErrNotConfigured)
		assert.NotContains(t, err.Error(), "eyJ")
	}
	assert.LessOrEqual(t, len(slices.Collect(p.Providers())), 6)
}

// A new field of the SDK's options must be added to ChainedRole or make the options incomparable.
// Otherwise, different options would share a Provider.
func TestPoolHandlesAllAssumeRoleOptions(t *testing.T) {
	known := []string{
		"Client", "RoleARN", "RoleSessionName", "Duration", "ExternalID", "Policy", "PolicyARNs", "SerialNumber", "SourceIdentity",
		"TokenProvider", "Tags", "TransitiveTagKeys", "CredentialSources", // the last has no effect
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[stscreds.AssumeRoleOptions]()) {
		assert.Contains(t, known, field.Name)
	}
}
