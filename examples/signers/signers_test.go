package main

import (
	"bytes"
	"context"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testenv"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// TestMain runs the tests without the settings of the machine.
func TestMain(m *testing.M) {
	testenv.Clear()
	os.Exit(m.Run())
}

// results counts token verifications.
type results struct {
	mu       sync.Mutex
	rejected int
	callers  map[string]int
}

func (r *results) record(caller string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.rejected++
		return
	}
	r.callers[caller]++
}

// signForTenHours signs a token every minute for ten hours, and verifies each one a second before it
// is 15 minutes old.
func signForTenHours(t *testing.T, kit *irsatest.Cluster, s service, tokens *tokens) *results {
	t.Helper()
	r := &results{callers: map[string]int{}}
	var verifications sync.WaitGroup
	for range 600 {
		token, err := s.sign(t.Context(), tokens)
		require.NoError(t, err)
		verifications.Go(func() {
			time.Sleep(tokenLifetime - time.Second)
			r.record(s.verify(t.Context(), kit, token))
		})
		time.Sleep(time.Minute)
	}
	verifications.Wait()
	return r
}

// sdkTokens returns tokens signed with credentials from the SDK's provider and cache.
func sdkTokens(kit *irsatest.Cluster, pod *irsatest.Pod) *tokens {
	cfg := aws.Config{Region: pod.Region(), HTTPClient: kit.HTTPClient()}
	cfg.Credentials = aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(sts.NewFromConfig(cfg), pod.RoleARN(), stscreds.IdentityTokenFile(pod.TokenFile())))
	return &tokens{cfg.Credentials, cfg.Region, sts.NewPresignClient(sts.NewFromConfig(cfg))}
}

func TestTokensAreValidForTheirLifetime(t *testing.T) {
	for _, s := range services {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				kit := irsatest.New(t)
				sa := kit.ServiceAccount("shop", "cart")
				pod := kit.Pod(sa, kit.Role("cart", irsatest.Trust(sa)), func(o *irsatest.PodOptions) { o.AutoRotate = true })
				p, err := irsa.New(pod.Options)
				require.NoError(t, err)
				defer p.Close()

				ours := signForTenHours(t, kit, s, newTokens(p))
				theirs := signForTenHours(t, kit, s, sdkTokens(kit, pod))

				assert.Zero(t, ours.rejected, "of 600")
				assert.Len(t, ours.callers, 1, "principals: %v", slices.Collect(maps.Keys(ours.callers)))
				assert.Greater(t, theirs.rejected, 100, "the SDK's provider has no minimum lifetime")
				t.Logf("rejected of 600: irsakit %d, SDK %d", ours.rejected, theirs.rejected)
			})
		})
	}
}

func TestTokensFailWithoutCredentials(t *testing.T) {
	for _, s := range services {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kit := irsatest.New(t)
				sa := kit.ServiceAccount("shop", "cart")
				p, err := irsa.New(kit.Pod(sa, kit.Role("cart")).Options) // without a trust policy
				require.NoError(t, err)
				defer p.Close()

				token, err := s.sign(t.Context(), newTokens(p))

				require.ErrorIs(t, err, irsa.ErrAccessDenied)
				assert.Empty(t, token)
			})
		})
	}
}

func TestTokensRespectContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kit := irsatest.New(t)
		sa := kit.ServiceAccount("shop", "cart")
		p, err := irsa.New(kit.Pod(sa, kit.Role("cart", irsatest.Trust(sa))).Options)
		require.NoError(t, err)
		defer p.Close()
		kit.STS.Fail(irsatest.Hang, -1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()

		_, err = newTokens(p).rds(ctx, "db.example:5432", "app")

		require.ErrorIs(t, err, context.DeadlineExceeded)
		kit.STS.Recover()
	})
}

func TestRunPrintsREADMEOutput(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	assert.Contains(t, string(readme), "```text\n"+out.String()+"```")
}
