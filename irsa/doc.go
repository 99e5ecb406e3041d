// Package irsa provides AWS credentials to applications in Kubernetes pods through
// IAM Roles for Service Accounts. It exchanges the pod's projected service account
// token for credentials of an IAM role at STS and keeps them fresh.
//
// A [Provider] is an aws.CredentialsProvider. [New] creates one from the environment
// variables set by the EKS webhook, or from [Options]. A [Status] describes the state
// of a Provider, an [Event] reports a change, and an [Error] describes what failed and
// how to fix it. [Provider.AssumeRole] returns a Provider for another role. A [Pool]
// manages the Providers of many roles and role chains, identified by their
// [RoleOptions]. Tokens come from a file or from a custom [TokenSource]. [Diagnose]
// checks every step between a pod and its credentials and returns a [Report].
//
//	package main
//
//	import (
//		"context"
//		"log"
//
//		"github.com/aws/aws-sdk-go-v2/service/sts"
//
//		"github.com/irsakit/irsakit/irsa"
//	)
//
//	func main() {
//		p, err := irsa.New() // AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer p.Close()
//		client := sts.NewFromConfig(p.AWSConfig()) // or any other service's
//		me, err := client.GetCallerIdentity(context.Background(), nil)
//		if err != nil {
//			log.Fatal(err)
//		}
//		log.Print("I am ", *me.Arn)
//	}
//
// # Environment variables
//
// New reads the following variables, once: AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE,
// AWS_ROLE_SESSION_NAME, AWS_REGION, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_STS,
// AWS_IGNORE_CONFIGURED_ENDPOINT_URLS, AWS_USE_FIPS_ENDPOINT,
// AWS_USE_DUALSTACK_ENDPOINT, AWS_SDK_UA_APP_ID and AWS_CA_BUNDLE, which must name a
// regular file of at most 4 MiB. New does not read shared config files or profiles. A
// Provider never falls back to another identity. It returns either credentials for its
// role or an error.
//
// AWS_STS_REGIONAL_ENDPOINTS=legacy and AWS_ENDPOINT_URL are ignored. The former selects
// the global endpoint, which may be far away. The latter may name a service that must not
// receive the token. New logs a warning if the former is set, or if the latter is set and
// AWS_ENDPOINT_URL_STS is not.
//
// # Using config.LoadDefaultConfig
//
// Load the configuration, then pass it to [Provider.Configure] before creating any
// clients from it:
//
//	cfg, err := config.LoadDefaultConfig(ctx)
//	p.Configure(&cfg)
//
// Do not use config.WithCredentialsProvider(p), which wraps p in an
// aws.CredentialsCache. [Provider.Invalidate], [Provider.MinTTL] and steps of the wall
// clock do not affect the credentials cached there, and a request is not retried if a
// service rejects its credentials.
package irsa
