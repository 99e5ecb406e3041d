// Package cache keeps the credentials of any [aws.CredentialsProvider] fresh: it
// refreshes them in the background, early, so that no caller waits while they are
// valid, and goes on serving them while the provider fails.
//
// There are only a few types: a [Cache] is an aws.CredentialsProvider around
// another one, made by [New] with [Options]; its [Status] says how it is doing, an
// [Event] that it changed, and an [Error] why there are no credentials and when
// the next attempt comes. A [Limiter] bounds what many Caches ask for at the same time.
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
//		cfg.Credentials = c // for service clients; not through another cache
//		credentials, err := c.Retrieve(context.Background())
//		if err != nil {
//			log.Fatal(err)
//		}
//		log.Print("serving until ", credentials.Expires)
//	}
//
// # States
//
//	Empty ──ok──▶ Fresh ──60–80 % of the life──▶ Stale ──end──▶ Expired     any ──Close──▶ Closed
//
// Fresh and Stale credentials are served at once. In Stale a refresh is under way,
// or has failed and is being repeated. Only in Empty and Expired do callers wait.
//
// # Around the SDK's cache
//
// The credentials that config.LoadDefaultConfig finds are in an aws.CredentialsCache. Assign the
// Cache back before any client is made, so that no client uses that cache beside it:
//
//	cfg, err := config.LoadDefaultConfig(ctx)
//	cfg.Credentials = cache.New(cfg.Credentials)
//
// A planned refresh invalidates the aws.CredentialsCache, which would return the same credentials
// until their end; other users of it would wait for the new ones, and get an error in an outage.
// Sources that keep their credentials in other ways (the instance metadata service, the container
// endpoint, a process) are called again after half of the remaining time, and their credentials
// are served until a second before the end.
//
// # Behind another cache
//
// A Cache wants no other cache around it: set it as Config.Credentials. Passed to
// config.WithCredentialsProvider it is put into an aws.CredentialsCache, which
// serves its copy until Expires. That never hands out expired credentials while
// the clocks run evenly, but Invalidate, MinTTL and steps of the wall clock cannot
// reach into the copy.
package cache
