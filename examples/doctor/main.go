// Doctor finds out why a pod cannot obtain AWS credentials through IAM Roles for Service
// Accounts. It checks each step from the pod's environment to the credentials, and
// recommends a fix for each step that fails. See README.md.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"

	"github.com/irsakit/irsakit/irsa"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // a check failed
	exitUsage  = 2 // nothing was examined
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run examines the environment of the process and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("doctor", flag.ContinueOnError)
	flags.SetOutput(stderr)
	asJSON := flags.Bool("json", false, "print the report as JSON")
	policyFile := flags.String("trust-policy", "", "judge the role's trust policy in this `file`, - for standard input")
	insecure := flags.Bool("insecure-endpoint", false, "accept an STS endpoint with http:// that is not on this machine")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: doctor [-json] [-insecure-endpoint] [-trust-policy file]")
		flags.PrintDefaults()
		fmt.Fprintln(stderr, "It exits with 0 if no check failed, 1 if one did, 2 if it could not begin.")
	}
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "doctor: it takes no arguments, and there is %q\n", flags.Arg(0))
		return exitUsage
	}
	policy, err := readPolicy(*policyFile)
	if err != nil {
		fmt.Fprintf(stderr, "doctor: the trust policy: %v\n", err)
		return exitUsage
	}

	report := irsa.Diagnose(ctx, func(o *irsa.Options) { o.InsecureEndpoint = *insecure })
	if *policyFile != "" {
		report.CheckTrustPolicy(policy)
	}
	if err := printReport(stdout, report, *asJSON); err != nil {
		fmt.Fprintf(stderr, "doctor: %v\n", err)
		return exitUsage
	}
	if !report.OK() {
		return exitFailed
	}
	return exitOK
}

// readPolicy reads the file at path, or standard input if path is "-". IAM limits trust
// policies to 8 KiB.
func readPolicy(path string) ([]byte, error) {
	const maxSize = 64 << 10
	switch path {
	case "":
		return nil, nil
	case "-":
		return io.ReadAll(io.LimitReader(os.Stdin, maxSize))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxSize))
}

func printReport(w io.Writer, report *irsa.Report, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	text := report.String()
	if isTerminal(w) && os.Getenv("NO_COLOR") == "" {
		text = colorize(text)
	}
	_, err := io.WriteString(w, text)
	return err
}

// isTerminal reports whether w is a terminal, and not a file or a pipe.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// colorize colors the status at the start of each line.
func colorize(text string) string {
	colors := map[string]string{"passed": "32", "FAILED": "1;31", "warned": "33", "skipped": "2"}
	word := regexp.MustCompile(`(?m)^(passed|FAILED|warned|skipped)`)
	return word.ReplaceAllStringFunc(text, func(w string) string { return "\x1b[" + colors[w] + "m" + w + "\x1b[0m" })
}
