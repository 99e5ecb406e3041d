package configtest

import (
	"context"
	"errors"
	"log"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// The functions in this file contain the code of README.md. The tests run it in a pod of the test
// kit.

func serviceClient() *s3.Client {
	p, err := irsa.New() // reads AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	client := s3.NewFromConfig(p.AWSConfig())
	return client
}

func configured(ctx context.Context, p *irsa.Provider) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return aws.Config{}, err
	}
	p.Configure(&cfg) // before any client is created from cfg
	return cfg, nil
}

func waitReady(ctx context.Context, p *irsa.Provider) error {
	if err := p.WaitReady(ctx); err != nil { // retries after any failure, until ctx is done
		return err
	}
	return nil
}

func chain(p *irsa.Provider) (*irsa.Provider, error) {
	auditor, err := p.AssumeRole("arn:aws:iam::444455556666:role/auditor", func(o *stscreds.AssumeRoleOptions) {
		o.ExternalID = aws.String("shop-4711")
	})
	return auditor, err
}

func tenantRole(ctx context.Context, tenant struct{ Name, RoleARN string }) error {
	pool, err := irsa.NewPool()
	if err != nil {
		return err
	}
	defer pool.Close()
	provider, err := pool.Provider(irsa.RoleOptions{
		RoleARN: tenant.RoleARN,
		Tenant:  tenant.Name,
	})
	if err != nil {
		return err
	}
	return waitReady(ctx, provider)
}

func signing(p *irsa.Provider) aws.Config {
	signing := p.AWSConfig()
	signing.Credentials = p.MinTTL(15 * time.Minute)
	return signing
}

func otherCredentials(ctx context.Context) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return aws.Config{}, err
	}
	cfg.Credentials = cache.New(cfg.Credentials)
	return cfg, nil
}

func onLaptopOrInPod(ctx context.Context) (aws.Config, error) {
	p, err := irsa.New()
	switch {
	case err == nil:
		return p.AWSConfig(), nil
	case errors.Is(err, irsa.ErrNotInjected):
		return config.LoadDefaultConfig(ctx)
	default:
		return aws.Config{}, err
	}
}

func loadDefaultAfter() (aws.Config, error) {
	p, err := irsa.New()
	if err != nil {
		return aws.Config{}, err
	}
	cfg := p.AWSConfig()
	return cfg, nil
}

func webIdentityBefore(cfg aws.Config) aws.Config {
	cfg.Credentials = aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(
		sts.NewFromConfig(cfg),
		os.Getenv("AWS_ROLE_ARN"),
		stscreds.IdentityTokenFile(os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE")),
		func(o *stscreds.WebIdentityRoleOptions) {
			o.RoleSessionName = "cart"
			o.Duration = 2 * time.Hour
		},
	))
	return cfg
}

func webIdentityAfter(cfg aws.Config) (aws.Config, error) {
	p, err := irsa.New(func(o *irsa.Options) {
		o.SessionName = "cart"
		o.Duration = 2 * time.Hour
	})
	if err != nil {
		return aws.Config{}, err
	}
	p.Configure(&cfg)
	return cfg, nil
}

func assumeRoleBefore(cfg aws.Config, auditorARN string) aws.CredentialsProvider {
	auditor := aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), auditorARN,
		func(o *stscreds.AssumeRoleOptions) {
			o.ExternalID = aws.String("shop-4711")
		}))
	return auditor
}

func assumeRoleAfter(p *irsa.Provider, auditorARN string) (aws.CredentialsProvider, error) {
	auditor, err := p.AssumeRole(auditorARN, func(o *stscreds.AssumeRoleOptions) {
		o.ExternalID = aws.String("shop-4711")
	})
	return auditor, err
}

func cacheOptionsBefore(source aws.CredentialsProvider) aws.CredentialsProvider {
	credentials := aws.NewCredentialsCache(source, func(o *aws.CredentialsCacheOptions) {
		o.ExpiryWindow = 5 * time.Minute
		o.ExpiryWindowJitterFrac = 0.5
	})
	return credentials
}

func retryerBefore(cfg aws.Config) *sts.Client {
	client := sts.NewFromConfig(cfg, func(o *sts.Options) {
		o.Retryer = retry.AddWithErrorCodes(retry.NewStandard(), "IDPCommunicationError", "InvalidIdentityToken")
	})
	return client
}

// startREADMEPod sets the environment of a pod. It returns the pod's role and a role in another
// account that it may assume.
func startREADMEPod(t *testing.T) (cart, auditor *irsatest.Role) {
	t.Helper()
	k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback = true })
	sa := k.ServiceAccount("shop", "cart")
	cart = k.Role("s3-writer", irsatest.Trust(sa), irsatest.MaxSessionDuration(12*time.Hour))
	auditor = k.Role("auditor", irsatest.InAccount("444455556666"), irsatest.Trust(cart))
	k.Pod(sa, cart).Setenv()
	return cart, auditor
}

func TestREADMEConfigurationsHaveCredentials(t *testing.T) {
	cart, auditor := startREADMEPod(t)
	ctx := t.Context()
	p := newProvider(t)
	loaded, err := config.LoadDefaultConfig(ctx)
	require.NoError(t, err)

	configs := map[string]func() (aws.Config, error){
		"Configure":                         func() (aws.Config, error) { return configured(ctx, p) },
		"MinTTL":                            func() (aws.Config, error) { return signing(p), nil },
		"cache.New":                         func() (aws.Config, error) { return otherCredentials(ctx) },
		"on a laptop or in a pod":           func() (aws.Config, error) { return onLaptopOrInPod(ctx) },
		"LoadDefaultConfig after":           loadDefaultAfter,
		"NewWebIdentityRoleProvider before": func() (aws.Config, error) { return webIdentityBefore(loaded), nil },
		"NewWebIdentityRoleProvider after":  func() (aws.Config, error) { return webIdentityAfter(loaded) },
		"CredentialsCacheOptions before": func() (aws.Config, error) {
			cfg := loaded.Copy()
			cfg.Credentials = cacheOptionsBefore(webIdentityBefore(loaded).Credentials)
			return cfg, nil
		},
	}
	for name, load := range configs {
		t.Run(name, func(t *testing.T) {
			cfg, err := load()
			require.NoError(t, err)
			assertAccount(t, cfg, "111122223333")
		})
	}

	chains := map[string]func() (aws.CredentialsProvider, error){
		"AssumeRole":                   func() (aws.CredentialsProvider, error) { return chain(p) },
		"NewAssumeRoleProvider before": func() (aws.CredentialsProvider, error) { return assumeRoleBefore(loaded, auditor.ARN()), nil },
		"NewAssumeRoleProvider after":  func() (aws.CredentialsProvider, error) { return assumeRoleAfter(p, auditor.ARN()) },
	}
	for name, build := range chains {
		t.Run(name, func(t *testing.T) {
			provider, err := build()
			require.NoError(t, err)
			cfg := loaded.Copy()
			cfg.Credentials = provider
			assertAccount(t, cfg, "444455556666")
		})
	}

	require.NoError(t, waitReady(ctx, p))
	require.NoError(t, tenantRole(ctx, struct{ Name, RoleARN string }{"blue", cart.ARN()}))
	assert.Equal(t, "us-west-2", serviceClient().Options().Region)
	assert.NotNil(t, retryerBefore(loaded).Options().Retryer)
}

// assertAccount checks that a client made from cfg has credentials of the account.
func assertAccount(t *testing.T, cfg aws.Config, account string) {
	t.Helper()
	client := sts.NewFromConfig(cfg, func(o *sts.Options) { o.BaseEndpoint = aws.String(os.Getenv("AWS_ENDPOINT_URL_STS")) })
	identity, err := client.GetCallerIdentity(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, account, *identity.Account)
}

func TestREADMEFallsBackOnlyOutsidePods(t *testing.T) {
	for _, name := range []string{"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIALAPTOP")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "laptop")
	cfg, err := onLaptopOrInPod(t.Context())
	require.NoError(t, err)
	creds, err := cfg.Credentials.Retrieve(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "AKIALAPTOP", creds.AccessKeyID)

	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/s3-writer")
	_, err = onLaptopOrInPod(t.Context())
	require.ErrorIs(t, err, irsa.ErrNotConfigured)
}

func TestProviderSurvivesOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // simulated time
		k := irsatest.New(t)
		sa := k.ServiceAccount("shop", "cart")
		pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
		p, err := irsa.New(pod.Options)
		require.NoError(t, err)
		defer p.Close()
		require.NoError(t, p.Ready(t.Context()))

		k.STS.Down()
		time.Sleep(55 * time.Minute) // a refresh was due after 36 to 48 minutes
		_, err = p.Retrieve(t.Context())
		require.NoError(t, err)
	})
}
