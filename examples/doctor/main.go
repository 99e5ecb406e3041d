// Doctor looks for the cause where a pod gets no AWS credentials through IAM Roles for
// Service Accounts. It goes from the pod's environment to the credentials, step by
// step, and says what to do about each step that fails. See README.md.
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

// What the process exits with.
const (
	healthy = 0
	ill     = 1 // a check failed
	misused = 2 // nothing was examined
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run examines the process's environment.
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
		return misused
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "doctor: it takes no arguments, and there is %q\n", flags.Arg(0))
		return misused
	}
	policy, err := readPolicy(*policyFile)
	if err != nil {
		fmt.Fprintf(stderr, "doctor: the trust policy: %v\n", err)
		return misused
	}

	report := irsa.Diagnose(ctx, func(o *irsa.Options) { o.InsecureEndpoint = *insecure })
	if *policyFile != "" {
		report.CheckTrustPolicy(policy)
	}
	if err := show(stdout, report, *asJSON); err != nil {
		fmt.Fprintf(stderr, "doctor: %v\n", err)
		return misused
	}
	if !report.OK() {
		return ill
	}
	return healthy
}

// readPolicy reads the file, or standard input. IAM's trust policies have 8 KiB at most.
func readPolicy(path string) ([]byte, error) {
	const most = 64 << 10
	switch path {
	case "":
		return nil, nil
	case "-":
		return io.ReadAll(io.LimitReader(os.Stdin, most))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, most))
}

func show(w io.Writer, report *irsa.Report, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	text := report.String()
	if isTerminal(w) && os.Getenv("NO_COLOR") == "" {
		text = inColour(text)
	}
	_, err := io.WriteString(w, text)
	return err
}

// isTerminal says whether a person looks on, and not a file or a program.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// inColour puts colour on the word at the beginning of each line.
func inColour(text string) string {
	colours := map[string]string{"passed": "32", "FAILED": "1;31", "warned": "33", "skipped": "2"}
	word := regexp.MustCompile(`(?m)^(passed|FAILED|warned|skipped)`)
	return word.ReplaceAllStringFunc(text, func(w string) string { return "\x1b[" + colours[w] + "m" + w + "\x1b[0m" })
}
