package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"golang.org/x/mod/semver"
)

// client is an unmodified AWS client.
type client struct {
	name     string
	version  []string // the command that prints its version
	identity []string // the command that prints the ARN of the role whose credentials it uses

	// since contains, for each target that the client is tried with, the oldest version that has obtained
	// credentials, or never. There can be one for each major version, separated by spaces.
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
	cfg, err1 := config.LoadDefaultConfig(ctx)
	identity, err2 := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil)
	if err := errors.Join(err1, err2); err != nil {
		log.Fatal(err)
	}
	fmt.Println(aws.ToString(identity.Arn))
}

var versionPattern = regexp.MustCompile(`\d+\.\d+\.\d+`)

// installed returns the version of the client, or "" if it is not installed.
func (c client) installed(ctx context.Context) string {
	output, _ := exec.CommandContext(ctx, c.version[0], c.version[1:]...).Output() // #nosec G204 -- the user names the command
	return versionPattern.FindString(string(output))
}

// try prints a cell for each target. It returns the failures, and an error if the client is
// known to obtain credentials.
func (c client) try(ctx context.Context, out io.Writer, l *lab, version string) (failures []string, broken error) {
	for _, target := range targets {
		since, ok := c.since[target]
		if !ok {
			fmt.Fprint(out, " |")
			continue
		}
		err := c.obtain(ctx, l, target)
		if err == nil {
			fmt.Fprint(out, " yes |")
			continue
		}
		fmt.Fprint(out, " no |")
		failures = append(failures, fmt.Sprintf("%s %s, %s: %v", c.name, version, target, err))
		if isSince(version, since) {
			broken = errors.Join(broken, fmt.Errorf("%s %s does not obtain credentials from the %s; it should since %s", c.name, version, target, since))
		}
	}
	fmt.Fprintln(out)
	return failures, broken
}

// obtain runs the client, and returns an error if it does not have the credentials of the target.
func (c client) obtain(ctx context.Context, l *lab, target string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute) // longer than clients retry
	defer cancel()
	command := exec.CommandContext(ctx, c.identity[0], c.identity[1:]...) // #nosec G204 -- the user names the command
	command.Env = l.environment(target)
	output, err := command.Output()
	var exitErr *exec.ExitError
	if errors.As(err, &exitErr) {
		lines := strings.Split(strings.TrimSpace(string(exitErr.Stderr)), "\n")
		return fmt.Errorf("%w: %s", err, lines[len(lines)-1])
	}
	if err == nil && !strings.HasPrefix(string(output), session) {
		err = fmt.Errorf("the ARN is %q instead of %s…", output, session)
	}
	return err
}

// isSince reports whether version is one of the versions in since or a newer one with the same
// major version: the numbers of AWS CLI 1 and 2 say nothing about each other.
func isSince(version, since string) bool {
	for _, oldest := range strings.Fields(since) {
		if v, o := "v"+version, "v"+oldest; semver.Major(v) == semver.Major(o) && semver.Compare(v, o) >= 0 {
			return true
		}
	}
	return false
}
