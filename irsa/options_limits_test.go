package irsa_test

import (
	"context"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/tokenfile"
)

var (
	long     = strings.Repeat("x", 10<<20)
	longARN  = "arn:aws:iam::111122223333:role/" + long
	longPath = "/" + strings.Repeat("a/", 5<<20)
	longURL  = "https://sts.example/" + long
	manyARNs = slices.Repeat([]string{"arn:aws:iam::111122223333:policy/p"}, 100_000)
)

// requireCheapError checks that get returns a short error and makes few allocations.
func requireCheapError(t *testing.T, get func() error) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := get()
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, irsa.ErrNotConfigured)
	requireShort(t, err)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
	var typed *irsa.Error
	require.ErrorAs(t, err, &typed)
	assert.Less(t, len(typed.RoleARN), 2100)
	assert.Less(t, len(typed.TokenFile), 2100)
}

func TestNewChecksLengthsFirst(t *testing.T) {
	_, pod := newPod(t)
	for name, set := range map[string]func(*irsa.Options){
		"role ARN":        func(o *irsa.Options) { o.RoleARN = longARN },
		"no role ARN":     func(o *irsa.Options) { o.RoleARN = long },
		"session name":    func(o *irsa.Options) { o.SessionName = long },
		"region":          func(o *irsa.Options) { o.Region = long },
		"token file":      func(o *irsa.Options) { o.TokenFile = long },
		"absolute path":   func(o *irsa.Options) { o.TokenFile = longPath },
		"endpoint":        func(o *irsa.Options) { o.Endpoint = long },
		"endpoint's path": func(o *irsa.Options) { o.Endpoint = longURL },
		"policy":          func(o *irsa.Options) { o.Policy = long },
		"policy ARN":      func(o *irsa.Options) { o.PolicyARNs = []string{long} },
		"policy ARNs":     func(o *irsa.Options) { o.PolicyARNs = manyARNs },
		"everything long": func(o *irsa.Options) { o.RoleARN, o.SessionName, o.Region, o.TokenFile = long, long, long, long },
	} {
		t.Run(name, func(t *testing.T) {
			requireCheapError(t, func() error {
				_, err := irsa.New(pod.Options, set)
				return err
			})
		})
	}
}

func TestDiagnoseDoesNotExamineLongPath(t *testing.T) {
	_, pod := newPod(t)
	report := irsa.Diagnose(t.Context(), pod.Options, func(o *irsa.Options) { o.TokenFile = longPath[:6000] })
	assert.Equal(t, "failed", statusOf(report, "settings"), report)
	assert.Equal(t, "skipped", statusOf(report, "token-path"), report)
}

// Escaping unprintable characters makes the text longer.
func TestNewErrorIsShortForUnprintableRoleARNs(t *testing.T) {
	_, pod := newPod(t)
	for _, character := range []string{"\n", "\xff", "\x00", "\u202e", "é\n"} {
		for _, length := range []int{1, 36, 72, 2000} {
			_, err := irsa.New(pod.Options, func(o *irsa.Options) { o.RoleARN = strings.Repeat(character, length) })
			require.ErrorIs(t, err, irsa.ErrNotConfigured)
			requireShort(t, err)
		}
	}
}

func TestPoolChecksLengthsFirst(t *testing.T) {
	_, pod, _ := newTenants(t, 0)
	p := newPool(t, pod)
	for name, opts := range map[string]irsa.RoleOptions{
		"role ARN":     {RoleARN: longARN},
		"session name": {SessionName: long},
		"region":       {Region: long},
		"policy":       {Policy: long},
		"policy ARN":   {PolicyARNs: []string{long}},
		"policy ARNs":  {PolicyARNs: manyARNs},
		"identity": {Token: irsa.TokenFunc(long, func(context.Context) (tokenfile.Token, error) {
			return tokenfile.Token{}, assert.AnError
		})},
	} {
		t.Run(name, func(t *testing.T) {
			requireCheapError(t, func() error {
				_, err := p.Provider(opts)
				return err
			})
		})
	}
	assert.Zero(t, p.Status().Roles)
}

// The SDK sends no request for a tag without a key or a value, so it would look like a network failure.
func TestAssumeRoleRejectsIncompleteTag(t *testing.T) {
	_, pod := newPod(t)
	p := newProvider(t, pod.Options)
	inPool := pooled(t, newPool(t, pod), irsa.RoleOptions{})
	for name, tag := range map[string]types.Tag{
		"no key":    {Value: aws.String("v")},
		"empty key": {Key: aws.String(""), Value: aws.String("v")},
		"no value":  {Key: aws.String("k")},
	} {
		t.Run(name, func(t *testing.T) {
			for _, source := range []*irsa.Provider{p, inPool} {
				_, err := source.AssumeRole("arn:aws:iam::444455556666:role/second", func(o *stscreds.AssumeRoleOptions) { o.Tags = []types.Tag{tag} })
				require.ErrorIs(t, err, irsa.ErrNotConfigured)
				assert.ErrorContains(t, err, "a session tag has no key or no value")
			}
		})
	}
	_, err := p.AssumeRole("arn:aws:iam::444455556666:role/second", func(o *stscreds.AssumeRoleOptions) {
		o.Tags = []types.Tag{{Key: aws.String("k"), Value: aws.String("")}}
	})
	require.NoError(t, err, "a value may be empty")
}

func TestAssumeRoleChecksLengthsFirst(t *testing.T) {
	_, pod := newPod(t)
	p := newProvider(t, pod.Options)
	for name, set := range map[string]func(*stscreds.AssumeRoleOptions){
		"session name":    func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName = long },
		"policy":          func(o *stscreds.AssumeRoleOptions) { o.Policy = &long },
		"external ID":     func(o *stscreds.AssumeRoleOptions) { o.ExternalID = &long },
		"source identity": func(o *stscreds.AssumeRoleOptions) { o.SourceIdentity = &long },
		"policy ARNs": func(o *stscreds.AssumeRoleOptions) {
			o.PolicyARNs = slices.Repeat([]types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::111122223333:policy/p")}}, 10_000)
		},
		"tags": func(o *stscreds.AssumeRoleOptions) {
			o.Tags = slices.Repeat([]types.Tag{{Key: aws.String("k")}}, 10_000)
		},
		"tag keys":           func(o *stscreds.AssumeRoleOptions) { o.TransitiveTagKeys = manyARNs },
		"transitive tag key": func(o *stscreds.AssumeRoleOptions) { o.TransitiveTagKeys = []string{long} },
		"serial number":      func(o *stscreds.AssumeRoleOptions) { o.SerialNumber = &long },
		"tag key":            func(o *stscreds.AssumeRoleOptions) { o.Tags = []types.Tag{{Key: &long}} },
		"tag value":          func(o *stscreds.AssumeRoleOptions) { o.Tags = []types.Tag{{Key: aws.String("k"), Value: &long}} },
	} {
		t.Run(name, func(t *testing.T) {
			requireCheapError(t, func() error {
				_, err := p.AssumeRole("arn:aws:iam::444455556666:role/second", set)
				return err
			})
		})
	}
	requireCheapError(t, func() error {
		_, err := p.AssumeRole(longARN)
		return err
	})
}

func TestAssumeRoleRejectsInvalidIdentifiers(t *testing.T) {
	_, pod := newPod(t)
	p := newProvider(t, pod.Options)
	for _, invalid := range []string{"", "x", "a b", "ähre", "4711\n"} {
		for name, set := range map[string]func(*stscreds.AssumeRoleOptions){
			"external ID":     func(o *stscreds.AssumeRoleOptions) { o.ExternalID = &invalid },
			"source identity": func(o *stscreds.AssumeRoleOptions) { o.SourceIdentity = &invalid },
		} {
			_, err := p.AssumeRole("arn:aws:iam::444455556666:role/second", set)
			require.ErrorIs(t, err, irsa.ErrNotConfigured, "%q", invalid)
			require.ErrorContains(t, err, "the "+name+" has ")
		}
	}
	for _, valid := range []string{"47", "Shop_4711+=,.@-"} {
		_, err := p.AssumeRole("arn:aws:iam::444455556666:role/second", func(o *stscreds.AssumeRoleOptions) {
			o.ExternalID, o.SourceIdentity = aws.String(valid+":/"), &valid
		})
		require.NoError(t, err)
	}
}

type pointerTokens struct{ token tokenfile.Token }

func (p *pointerTokens) Token(context.Context) (tokenfile.Token, error) { return p.token, nil }
func (p *pointerTokens) Identity() string                               { return p.token.Reveal() }

func TestNewRejectsTypedNil(t *testing.T) {
	_, pod := newPod(t)
	for want, set := range map[string]func(*irsa.Options){
		"token source is a nil *irsa_test.pointerTokens": func(o *irsa.Options) { o.Token = (*pointerTokens)(nil) },
		"token source has no function":                   func(o *irsa.Options) { o.Token = irsa.TokenFunc("test", nil) },
		"the option STS is a nil *sts.Client":            func(o *irsa.Options) { o.STS = (*sts.Client)(nil) },
		"the option HTTPClient is a nil *http.Client":    func(o *irsa.Options) { o.HTTPClient = (*http.Client)(nil) },
		"the HTTP client of the option STS is a nil *http.Client": func(o *irsa.Options) {
			o.STS = sts.New(sts.Options{Region: "us-west-2", HTTPClient: (*http.Client)(nil)})
		},
	} {
		tokenless := func(o *irsa.Options) {
			if set(o); o.Token != nil {
				o.TokenFile = ""
			}
		}
		_, err := irsa.New(pod.Options, tokenless)
		require.ErrorIs(t, err, irsa.ErrNotConfigured)
		require.ErrorContains(t, err, want)
		_, err = irsa.NewPool(func(o *irsa.PoolOptions) { pod.Options(&o.Options); tokenless(&o.Options) })
		require.ErrorIs(t, err, irsa.ErrNotConfigured)
		require.ErrorContains(t, err, want)
		assert.False(t, irsa.Diagnose(t.Context(), pod.Options, tokenless).OK())
	}
	p := newPool(t, pod)
	for _, source := range []irsa.TokenSource{(*pointerTokens)(nil), irsa.TokenFunc("test", nil)} {
		_, err := p.Provider(irsa.RoleOptions{Token: source})
		require.ErrorIs(t, err, irsa.ErrNotConfigured)
	}
}
