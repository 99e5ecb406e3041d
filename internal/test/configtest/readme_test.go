package configtest

import (
	"context"
	"errors"
	"log"
	"os"
	"strings"
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

// The functions in this file contain the code of README.md. The tests run it in a pod of the test kit.

// The accounts and names of the pod's role and of a role that it may assume.
const (
	cart       = "111122223333:assumed-role/s3-writer/"
	auditor    = "444455556666:assumed-role/auditor/"
	auditorARN = "arn:aws:iam::444455556666:role/auditor"
)

// configurations are the ways to obtain a configuration. cfg is the SDK's default configuration in the
// pod, and p is a Provider of the pod.
var configurations = []struct {
	name, role string
	load       func(ctx context.Context, cfg aws.Config, p *irsa.Provider) (aws.Config, error)
}{
	{"LoadDefaultConfig before", cart, func(ctx context.Context, cfg aws.Config, _ *irsa.Provider) (aws.Config, error) {
		client := sts.NewFromConfig(cfg, func(o *sts.Options) {
			o.Retryer = retry.AddWithErrorCodes(retry.NewStandard(), "IDPCommunicationError", "InvalidIdentityToken")
		})
		_, err := client.GetCallerIdentity(ctx, nil)
		return cfg, err
	}},
	{"LoadDefaultConfig after", cart, func(context.Context, aws.Config, *irsa.Provider) (aws.Config, error) {
		p, err := irsa.New()
		if err != nil {
			return aws.Config{}, err
		}
		cfg := p.AWSConfig()
		return cfg, nil
	}},
	{"on a laptop or in a pod", cart, func(ctx context.Context, _ aws.Config, _ *irsa.Provider) (aws.Config, error) {
		p, err := irsa.New()
		switch {
		case err == nil:
			return p.AWSConfig(), nil
		case errors.Is(err, irsa.ErrNotInjected):
			return config.LoadDefaultConfig(ctx)
		default:
			return aws.Config{}, err
		}
	}},
	{"Configure", cart, func(ctx context.Context, _ aws.Config, p *irsa.Provider) (aws.Config, error) {
		cfg, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return aws.Config{}, err
		}
		p.Configure(&cfg) // before any client is created from cfg
		return cfg, nil
	}},
	{"MinTTL", cart, func(_ context.Context, _ aws.Config, p *irsa.Provider) (aws.Config, error) {
		signing := p.AWSConfig()
		signing.Credentials = p.MinTTL(15 * time.Minute)
		return signing, nil
	}},
	{"cache.New", cart, func(ctx context.Context, _ aws.Config, _ *irsa.Provider) (aws.Config, error) {
		cfg, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return aws.Config{}, err
		}
		cfg.Credentials = cache.New(cfg.Credentials)
		return cfg, nil
	}},
	{"NewWebIdentityRoleProvider and CredentialsCacheOptions before", cart, func(_ context.Context, cfg aws.Config, _ *irsa.Provider) (aws.Config, error) {
		cfg.Credentials = aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(
			sts.NewFromConfig(cfg),
			os.Getenv("AWS_ROLE_ARN"),
			stscreds.IdentityTokenFile(os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE")),
			func(o *stscreds.WebIdentityRoleOptions) {
				o.RoleSessionName = "cart"
				o.Duration = 2 * time.Hour
			},
		))
		source := cfg.Credentials
		credentials := aws.NewCredentialsCache(source, func(o *aws.CredentialsCacheOptions) {
			o.ExpiryWindow = 5 * time.Minute
			o.ExpiryWindowJitterFrac = 0.5
		})
		cfg.Credentials = credentials
		return cfg, nil
	}},
	{"NewWebIdentityRoleProvider after", cart, func(_ context.Context, cfg aws.Config, _ *irsa.Provider) (aws.Config, error) {
		p, err := irsa.New(func(o *irsa.Options) {
			o.SessionName = "cart"
			o.Duration = 2 * time.Hour
		})
		if err != nil {
			return aws.Config{}, err
		}
		p.Configure(&cfg)
		return cfg, nil
	}},
	{"AssumeRole", auditor, func(_ context.Context, cfg aws.Config, p *irsa.Provider) (aws.Config, error) {
		auditor, err := p.AssumeRole("arn:aws:iam::444455556666:role/auditor", func(o *stscreds.AssumeRoleOptions) {
			o.ExternalID = aws.String("shop-4711")
		})
		cfg.Credentials = auditor
		return cfg, err
	}},
	{"NewAssumeRoleProvider before", auditor, func(_ context.Context, cfg aws.Config, _ *irsa.Provider) (aws.Config, error) {
		auditor := aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), auditorARN,
			func(o *stscreds.AssumeRoleOptions) {
				o.ExternalID = aws.String("shop-4711")
			}))
		cfg.Credentials = auditor
		return cfg, nil
	}},
	{"NewAssumeRoleProvider after", auditor, func(_ context.Context, cfg aws.Config, p *irsa.Provider) (aws.Config, error) {
		auditor, err := p.AssumeRole(auditorARN, func(o *stscreds.AssumeRoleOptions) {
			o.ExternalID = aws.String("shop-4711")
		})
		cfg.Credentials = auditor
		return cfg, err
	}},
}

func waitForTenant(ctx context.Context, p *irsa.Provider, tenant struct{ Name, RoleARN string }) error {
	if err := p.WaitReady(ctx); err != nil { // retries after any failure, until ctx is done
		return err
	}
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
	return provider.WaitReady(ctx)
}

// The SDK also works with the test cluster without irsakit.
func TestREADMEConfigurationsHaveCredentials(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback = true })
	sa := k.ServiceAccount("shop", "cart")
	role := k.Role("s3-writer", irsatest.Trust(sa), irsatest.MaxSessionDuration(12*time.Hour))
	k.Role("auditor", irsatest.InAccount("444455556666"), irsatest.Trust(role))
	pod := k.Pod(sa, role)
	pod.Setenv()
	p, err := irsa.New() // reads AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	client := s3.NewFromConfig(p.AWSConfig())
	assert.Equal(t, "us-west-2", client.Options().Region)

	ctx := t.Context()
	cfg, err := config.LoadDefaultConfig(ctx)
	require.NoError(t, err)
	for _, tt := range configurations {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := tt.load(ctx, cfg.Copy(), p)
			require.NoError(t, err)
			client := sts.NewFromConfig(cfg, func(o *sts.Options) { o.BaseEndpoint = aws.String(os.Getenv("AWS_ENDPOINT_URL_STS")) })
			identity, err := client.GetCallerIdentity(ctx, nil)
			require.NoError(t, err)
			assert.Contains(t, *identity.Arn, "arn:aws:sts::"+tt.role)
			assert.True(t, strings.HasPrefix(tt.role, *identity.Account+":"))
		})
	}
	require.NoError(t, waitForTenant(ctx, p, struct{ Name, RoleARN string }{"blue", role.ARN()}))
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
