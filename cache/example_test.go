package cache_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/cache"
)

// hourly returns a stand-in for any provider, such as AssumeRole, SSO or a process.
func hourly() aws.CredentialsProvider {
	calls := 0
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		calls++
		return aws.Credentials{
			AccessKeyID:     fmt.Sprintf("ASIA%d", calls),
			SecretAccessKey: "secret",
			CanExpire:       true,
			Expires:         time.Now().Add(time.Hour),
		}, nil
	})
}

func ExampleNew() {
	c := cache.New(hourly())
	defer c.Close()
	ctx := context.Background()
	for range 3 {
		credentials, err := c.Retrieve(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(credentials.AccessKeyID)
	}
	// Output:
	// ASIA1
	// ASIA1
	// ASIA1
}

func ExampleCache_MinTTL() {
	c := cache.New(hourly())
	defer c.Close()
	credentials, err := c.MinTTL(15 * time.Minute).Retrieve(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(time.Until(credentials.Expires) > 15*time.Minute)

	_, err = c.MinTTL(50 * time.Minute).Retrieve(context.Background())
	fmt.Println(errors.Is(err, cache.ErrMinTTL))
	// Output:
	// true
	// true
}

func ExampleCache_Refresh() {
	c := cache.New(hourly())
	defer c.Close()
	ctx := context.Background()
	if err := c.Refresh(ctx); err != nil {
		log.Fatal(err)
	}
	credentials, err := c.Retrieve(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(credentials.AccessKeyID)
	// Output: ASIA1
}

// The credentials that config.LoadDefaultConfig finds are in an aws.CredentialsCache.
func ExampleNew_defaultConfig() {
	cfg := aws.Config{Credentials: aws.NewCredentialsCache(hourly())} // from config.LoadDefaultConfig
	c := cache.New(cfg.Credentials)
	defer c.Close()
	cfg.Credentials = c // before creating any client
	credentials, err := cfg.Credentials.Retrieve(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(credentials.AccessKeyID)
	// Output: ASIA1
}

// Serve a page immediately, with a signed link only if credentials are available.
func ExampleCache_TryRetrieve() {
	c := cache.New(hourly())
	defer c.Close()
	page := func() string {
		var credentials aws.Credentials
		if !c.TryRetrieve(&credentials) {
			return "the download will be available shortly"
		}
		return "a link signed with " + credentials.AccessKeyID
	}
	fmt.Println(page())
	if err := c.Refresh(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(page())
	// Output:
	// the download will be available shortly
	// a link signed with ASIA1
}

// Honor the retry delay requested by a source that is not an SDK client.
func ExampleOptions_retryAfter() {
	start := time.Now()
	c := cache.New(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, busyError{retryAfter: 3 * time.Second}
	}), func(o *cache.Options) {
		o.Logger = slog.New(slog.DiscardHandler)
		o.Permanent = func(error) bool { return true } // return the first error immediately
		o.RetryAfter = func(err error) time.Duration {
			var busy busyError
			if errors.As(err, &busy) {
				return busy.retryAfter
			}
			return 0
		}
	})
	defer c.Close()
	_, err := c.Retrieve(context.Background())
	var failure *cache.Error
	fmt.Println(errors.As(err, &failure) && failure.NextAttempt.Sub(start) >= 3*time.Second)
	// Output: true
}

// busyError is the error of a source that is busy.
type busyError struct{ retryAfter time.Duration }

func (e busyError) Error() string { return "busy, retry after " + e.retryAfter.String() }

// Keep the credentials of many tenants, and refresh only those that are used.
func ExampleOptions_maxIdleLifetimes() {
	tenants := map[string]*cache.Cache{}
	for _, name := range []string{"red", "blue"} {
		c := cache.New(hourly(), func(o *cache.Options) {
			o.MaxIdleLifetimes = 2 // after two hours, an unused tenant costs no more attempts
		})
		defer c.Close()
		tenants[name] = c
	}
	if _, err := tenants["red"].Retrieve(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println("red:", tenants["red"].Status().State)
	fmt.Println("blue:", tenants["blue"].Status().State)
	// Output:
	// red: fresh
	// blue: empty
}

// Replace credentials that a service rejected, unless they were received within the last minute.
func ExampleCache_Replace() {
	c := cache.New(hourly())
	defer c.Close()
	ctx := context.Background()
	rejected, err := c.Retrieve(ctx)
	if err != nil {
		log.Fatal(err)
	}
	switch err := c.Replace(ctx, rejected, time.Minute); {
	case err == nil:
		fmt.Println("send the request again")
	case errors.Is(err, cache.ErrRejected):
		fmt.Println("not replaced: the service rejects new credentials")
	default:
		log.Fatal(err)
	}
	// Output: not replaced: the service rejects new credentials
}

// Withdraw credentials after the role's sessions were revoked.
func ExampleCache_Invalidate() {
	c := cache.New(hourly(), func(o *cache.Options) { o.Logger = slog.New(slog.DiscardHandler) })
	defer c.Close()
	ctx := context.Background()
	revoked, err := c.Retrieve(ctx)
	if err != nil {
		log.Fatal(err)
	}
	c.Invalidate(revoked)
	credentials, err := c.Retrieve(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(revoked.AccessKeyID, credentials.AccessKeyID)
	// Output: ASIA1 ASIA2
}

func ExampleCache_Status() {
	c := cache.New(hourly())
	defer c.Close()
	fmt.Println(c.Status().State)
	if _, err := c.Retrieve(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Status().State)
	// Output:
	// empty
	// fresh
}

// Distinguish the cases that matter to a probe.
func ExampleStatus_Healthy() {
	works := hourly()
	var broken error
	c := cache.New(aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		if broken != nil {
			return aws.Credentials{}, broken
		}
		return works.Retrieve(ctx)
	}), func(o *cache.Options) { o.Logger = slog.New(slog.DiscardHandler) })
	defer c.Close()
	ctx := context.Background()
	fmt.Println(c.Status().Healthy())
	if _, err := c.Retrieve(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Status().Healthy())
	broken = errors.New("broken")
	_ = c.Refresh(ctx)
	fmt.Println(c.Status().State, errors.Is(c.Status().Healthy(), broken))
	// Output:
	// cache: no credentials obtained yet
	// <nil>
	// stale true
}

// Read the time of the next attempt from an error.
func ExampleError() {
	broken := errors.New("the process exited with status 1")
	c := cache.New(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, broken
	}), func(o *cache.Options) {
		o.Logger = slog.New(slog.DiscardHandler)
		o.Permanent = func(error) bool { return true } // return the first error immediately
	})
	defer c.Close()
	_, err := c.Retrieve(context.Background())
	var failure *cache.Error
	fmt.Println(errors.Is(err, broken), errors.As(err, &failure))
	fmt.Println(failure.Failures, time.Until(failure.NextAttempt) < time.Second)
	// Output:
	// true true
	// 1 true
}

// Share a Limiter between Caches that call the same service.
func ExampleLimiter() {
	limiter := cache.NewLimiter(32)
	var caches []*cache.Cache
	for i := range 100 {
		source := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{
				AccessKeyID: fmt.Sprint("ASIA", i), SecretAccessKey: "secret", SessionToken: "token",
				CanExpire: true, Expires: time.Now().Add(time.Hour),
			}, nil
		})
		c := cache.New(source, func(o *cache.Options) { o.Limiter = limiter })
		defer c.Close()
		caches = append(caches, c)
	}
	for _, c := range caches {
		if _, err := c.Retrieve(context.Background()); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(limiter.Status().Slots, "slots")
	// Output: 32 slots
}
