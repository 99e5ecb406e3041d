// Package cache keeps the credentials of any [aws.CredentialsProvider] fresh. It refreshes them
// early and in the background, so that no caller waits while they are valid. It keeps serving them
// while the provider fails.
//
// A [Cache] is an aws.CredentialsProvider around another one, its source. It is created by [New]
// with [Options]. [Status] describes its current state. An [Event] reports that an attempt has
// completed. An [Error] describes why there are no credentials and when the next attempt is due.
// A [Limiter] bounds how many attempts of several Caches run at the same time.
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
// Fresh and Stale credentials are served immediately. In Stale a refresh is running, or has failed
// and is retried. Callers wait in Empty and Expired only.
//
// # Wrapping an aws.CredentialsCache
//
// config.LoadDefaultConfig wraps the credentials that it finds in an aws.CredentialsCache. Replace
// them with the Cache before creating any client, so that no client uses the other cache directly:
//
//	cfg, err := config.LoadDefaultConfig(ctx)
//	cfg.Credentials = cache.New(cfg.Credentials)
//
// A scheduled refresh invalidates the aws.CredentialsCache, which would otherwise return the same
// credentials until they expire. Other users of it would wait for the new ones, and get an error in
// an outage. Other caching sources (the instance metadata service, the container endpoint,
// credential_process) are called again when half of the remaining lifetime has passed. Their
// credentials are served until a second before they expire.
//
// # Wrapped in an aws.CredentialsCache
//
// A Cache needs no other cache around it: set it as Config.Credentials. The option
// config.WithCredentialsProvider wraps it in an aws.CredentialsCache, which serves its copy until
// Expires. As long as the wall clock is not stepped, that cache never serves expired credentials.
// Invalidate, MinTTL and the detection of clock steps have no effect on its copy.
package cache
