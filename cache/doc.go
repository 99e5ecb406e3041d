// Package cache keeps the credentials of any [aws.CredentialsProvider] fresh. It refreshes them
// early, in the background, so that callers never wait while the credentials are valid, and keeps
// serving them while the provider is failing.
//
// A [Cache] is an aws.CredentialsProvider that wraps another one, its source. Use [New] to create
// one, with [Options]. [Status] describes its current state. An [Event] reports a completed
// attempt. An [Error] explains why there are no credentials and when the next attempt is due. A
// [Limiter] bounds the number of concurrent attempts across Caches.
//
//	package main
//
//	import (
//		"context"
//		"log"
//
//		"github.com/aws/aws-sdk-go-v2/aws"
//		"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
//		"github.com/aws/aws-sdk-go-v2/service/sts"
//
//		"github.com/irsakit/irsakit/cache"
//	)
//
//	func main() {
//		var cfg aws.Config // with the region and the credentials that may assume the role
//		source := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), "arn:aws:iam::111122223333:role/reports")
//		c := cache.New(source)
//		defer c.Close()
//		cfg.Credentials = c // used by service clients, without another cache around it
//		credentials, err := c.Retrieve(context.Background())
//		if err != nil {
//			log.Fatal(err)
//		}
//		log.Print("serving until ", credentials.Expires)
//	}
//
// # States
//
//	Empty ──ok──▶ Fresh ──60–80% of the lifetime──▶ Stale ──expiry──▶ Expired     any ──Close──▶ Closed
//
// Fresh and Stale credentials are served immediately. In Stale, a refresh is running, has failed
// and will be retried, or waits for a caller (see [Options].MaxIdleLifetimes). Callers wait only in
// Empty and Expired.
//
// # Wrapping an aws.CredentialsCache
//
// config.LoadDefaultConfig wraps the credentials it finds in an aws.CredentialsCache. Wrap that in
// a Cache before creating any client, so that no client uses the aws.CredentialsCache directly:
//
//	cfg, err := config.LoadDefaultConfig(ctx)
//	cfg.Credentials = cache.New(cfg.Credentials)
//
// A scheduled refresh invalidates the aws.CredentialsCache, which would otherwise return the same
// credentials until they expire. A client that used it directly would have to wait for the new
// credentials, and would get an error during an outage. Other caching sources (the instance
// metadata service, the container endpoint, credential_process) are called again each time half of
// the remaining lifetime has passed. Their credentials are served until one second before they
// expire.
//
// When an attempt times out, an aws.CredentialsCache does not cancel the call to its provider, and
// makes no other call until that one returns. If the provider can hang, wrap the provider itself.
//
// # Wrapped in an aws.CredentialsCache
//
// A Cache does not need another cache around it; set it as Config.Credentials. The option
// config.WithCredentialsProvider would wrap it in an aws.CredentialsCache, which serves its own
// copy until Expires. Unless the wall clock is stepped, that cache never serves expired
// credentials, but Invalidate, MinTTL and the detection of clock steps do not affect its copy.
package cache
