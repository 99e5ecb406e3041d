package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// client is an unmodified AWS client.
type client struct {
	name     string
	version  []string // the command that prints its version
	identity []string // the command that prints the ARN of the role whose credentials it uses

	// since contains, for each target that the client is tried with, the oldest version that
	// has obtained credentials, or never. There can be one for each major version, separated
	// by spaces.
	since map[string]string
}

// never is in place of a version if none has obtained credentials.
const never = "never"

// allClients returns all clients, whether they are installed or not.
func allClients(pythons, clis []string) []client {
	all := []client{goSDK()}
	for _, python := range pythons {
		all = append(all, client{
			"boto3", []string{python, "-c", "import boto3; print(boto3.__version__)"}, []string{python, "scripts/identity.py"},
			map[string]string{sidecarFile: "1.43.11", sidecarToken: "1.26.27", kit: "1.43.11", process: "1.26.27"},
		})
	}
	for _, cli := range clis {
		all = append(all, client{
			"AWS CLI", []string{cli, "--version"}, []string{"sh", "scripts/identity.sh", cli},
			map[string]string{sidecarFile: "1.45.11", sidecarToken: "1.45.11 2.9.19", kit: "1.45.11", process: "1.45.11 2.9.19"},
		})
	}
	const older, newer, v2 = "3.300.0", "3.1174.0", "2.1693.0"
	return append(all,
		javaScript("default chain", map[string]string{sidecarFile: newer, sidecarToken: older, kit: newer, process: older}),
		javaScript("fromHttp", map[string]string{sidecarFile: newer, sidecarToken: newer}),
		javaScript("fromContainerMetadata", map[string]string{sidecarFile: never, sidecarToken: older}),
		javaScript("fromTokenFile", map[string]string{kit: newer}),
		javaScript("fromProcess", map[string]string{process: older}),
		client{
			"JavaScript v2", nodeVersion("aws-sdk"), []string{"node", "scripts/identity-v2.cjs"},
			map[string]string{sidecarFile: v2, sidecarToken: v2, kit: never, process: v2},
		})
}

// javaScript returns a client that uses version 3 of the SDK for JavaScript.
func javaScript(provider string, since map[string]string) client {
	return client{"JavaScript v3, " + provider, nodeVersion("@aws-sdk/client-sts"), []string{"node", "scripts/identity.cjs", provider}, since}
}

func nodeVersion(name string) []string {
	return []string{"node", "-p", "require('" + name + "/package.json').version"}
}

// goVariable makes this program print the ARN, as a client that uses the AWS SDK for Go.
const goVariable = "GO_CLIENT"

func goSDK() client {
	const v = "1.48.0"
	return client{
		"AWS SDK for Go v2", []string{"echo", aws.SDKVersion}, []string{"/usr/bin/env", goVariable + "=1", os.Args[0]},
		map[string]string{sidecarFile: v, sidecarToken: v, kit: v, process: v},
	}
}

func goIdentity(ctx context.Context) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	identity, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(aws.ToString(identity.Arn))
}
