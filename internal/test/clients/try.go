package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// clientTimeout limits how long a client may take. It exceeds the time that clients retry.
const clientTimeout = 2 * time.Minute

var versionPattern = regexp.MustCompile(`\d+\.\d+\.\d+`)

// installed returns the version of the client, or "" if it is not installed.
func (c client) installed(ctx context.Context) string {
	output, err := exec.CommandContext(ctx, c.version[0], c.version[1:]...).Output() // #nosec G204 -- the user names the command
	if err != nil {
		return ""
	}
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

// obtain runs the client, and returns an error if it does not have the credentials of the
// target.
func (c client) obtain(ctx context.Context, l *lab, target string) error {
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
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
