// Doctor finds out why a pod cannot obtain AWS credentials through IAM Roles for Service Accounts. It
// checks each step from the pod's environment to the credentials, and recommends a fix for each
// failed step. See README.md.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"unicode/utf8"

	"github.com/irsakit/irsakit/irsa"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // a check failed
	exitUsage  = 2 // nothing was checked
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run checks the process's environment and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("doctor", flag.ContinueOnError)
	flags.SetOutput(stderr)
	asJSON := flags.Bool("json", false, "print the report as JSON")
	policyFile := ""
	flags.Func("trust-policy", "evaluate the role's trust policy in this `file`, - for standard input", func(name string) error {
		if policyFile = name; name == "" {
			return errors.New("the name of the file is empty")
		}
		return nil
	})
	verbose := flags.Bool("v", false, "also list the checks that passed and that were skipped")
	insecure := flags.Bool("insecure-endpoint", false, "accept an STS endpoint with http:// that is not on this machine")
	flags.Usage = func() { printUsage(flags) }
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "doctor: unexpected argument %q\n", flags.Arg(0))
		return exitUsage
	}
	policy, err := readPolicy(ctx, policyFile, os.Stdin)
	if err != nil {
		fmt.Fprintf(stderr, "doctor: the trust policy: %v\n", err)
		return exitUsage
	}

	report := irsa.Diagnose(ctx, func(o *irsa.Options) { o.InsecureEndpoint = *insecure })
	if policyFile != "" {
		report.CheckTrustPolicy(policy)
	}
	if err := printReport(stdout, report, *asJSON, *verbose); err != nil {
		fmt.Fprintf(stderr, "doctor: %v\n", err)
		return exitUsage
	}
	if !report.OK() {
		return exitFailed
	}
	return exitOK
}

func printUsage(flags *flag.FlagSet) {
	fmt.Fprintln(flags.Output(), "usage: doctor [-v] [-json] [-insecure-endpoint] [-trust-policy file]")
	flags.PrintDefaults()
	fmt.Fprintln(flags.Output(), "The exit code is 0 if no check failed, 1 if a check failed, and 2 if the checks could not start.")
}

// readPolicy reads the file at path, or stdin if path is "-". It stops when ctx is done, because both
// can be a pipe that remains open.
func readPolicy(ctx context.Context, path string, stdin io.Reader) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	var text []byte
	read := make(chan error, 1)
	go func() {
		var err error
		text, err = readFile(path, stdin)
		read <- err
	}()
	select {
	case err := <-read:
		return text, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// maxPolicy limits the size of the file. IAM limits trust policies to 8 KiB, excluding white space.
const maxPolicy = 64 << 10

func readFile(path string, stdin io.Reader) ([]byte, error) {
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		stdin = file
	}
	text, err := io.ReadAll(io.LimitReader(stdin, maxPolicy+1))
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // added by PowerShell
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxPolicy:
		return nil, fmt.Errorf("it is longer than %d KiB", maxPolicy>>10)
	case len(bytes.TrimSpace(text)) == 0: // the command before the pipe failed
		return nil, errors.New("it is empty")
	case !utf8.Valid(text):
		return nil, errors.New("it is not UTF-8; Windows PowerShell writes UTF-16 unless told otherwise")
	}
	return text, nil
}

func printReport(w io.Writer, report *irsa.Report, asJSON, verbose bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	width := 80
	terminal := terminalOf(w)
	if terminal != nil {
		width = columns(terminal, width)
	}
	format := "%*v"
	if verbose {
		format = "%+*v"
	}
	text := fmt.Sprintf(format, width, report)
	if !verbose {
		text += "Run doctor -v to list all checks.\n"
	}
	if terminal != nil && os.Getenv("NO_COLOR") == "" {
		text = colorize(text)
	}
	_, err := io.WriteString(w, text)
	return err
}

// terminalOf returns w if it is a terminal rather than a file or pipe, or nil otherwise.
func terminalOf(w io.Writer) *os.File {
	file, ok := w.(*os.File)
	if !ok {
		return nil
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return file
}

// colorize colors the status at the start of each line.
func colorize(text string) string {
	colors := map[string]string{"passed": "32", "FAILED": "1;31", "warned": "33", "skipped": "2"}
	word := regexp.MustCompile(`(?m)^(passed|FAILED|warned|skipped)`)
	return word.ReplaceAllStringFunc(text, func(w string) string { return "\x1b[" + colors[w] + "m" + w + "\x1b[0m" })
}
