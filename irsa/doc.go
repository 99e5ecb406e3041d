// Package irsa gives an application in a Kubernetes pod AWS credentials through IAM
// Roles for Service Accounts: it exchanges the pod's projected service account
// token at STS for the credentials of a role, and keeps them fresh.
//
// There are only a few types: a [Provider] is an aws.CredentialsProvider, made by
// [New] from what the EKS webhook put into the pod's environment, or from
// [Options]; its [Status] says how it is doing, an [Event] that something happened,
// and an [Error] what failed and what to do about it. [Provider.AssumeRole] makes the
// Provider of a further role. A [Pool] has the Providers of many roles, told apart by
// their [RoleOptions], each with tokens from a file or another [TokenSource]. [Diagnose]
// makes a [Report] of all that lies between a pod and its credentials.
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
// # What it reads
//
// New reads these variables, once: AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE,
// AWS_ROLE_SESSION_NAME, AWS_REGION, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_STS,
// AWS_IGNORE_CONFIGURED_ENDPOINT_URLS, AWS_USE_FIPS_ENDPOINT,
// AWS_USE_DUALSTACK_ENDPOINT and AWS_CA_BUNDLE, which must name a regular file of
// at most 4 MiB. It reads no shared config file and no profile, and it knows no
// other identity: there are credentials of this role, or an error.
//
// AWS_STS_REGIONAL_ENDPOINTS=legacy and AWS_ENDPOINT_URL are logged and not
// followed: the first asks for an endpoint far away, the second names a service
// that the token must not be sent to.
//
// # With config.LoadDefaultConfig
//
// Load the configuration first and set the provider afterwards:
//
//	cfg, err := config.LoadDefaultConfig(ctx)
//	cfg.Credentials = p
//
// config.WithCredentialsProvider(p) works too, but puts an aws.CredentialsCache
// around p, which [Provider.Invalidate], [Provider.MinTTL] and steps of the wall
// clock cannot reach into.
package irsa
