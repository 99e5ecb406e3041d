// Clients runs unmodified AWS clients in several languages against examples/sidecar, the test
// kit and examples/credential-process, and prints which of them obtain credentials.
//
//	go -C internal/test/clients run .
//
// It uses the clients that it finds: the AWS SDK for Go of this module, boto3 of each
// interpreter in -python, each AWS CLI in -aws, and the AWS SDK for JavaScript in the folders
// of NODE_PATH. It fails if a client does not obtain credentials, although the same version
// or an older one did: see clients.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	pythons := flag.String("python", "python3,/usr/bin/python3", "Python `interpreters`, separated by commas")
	clis := flag.String("aws", "aws,/usr/bin/aws", "`commands` of the AWS CLI, separated by commas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if os.Getenv(goVariable) != "" {
		err = goIdentity(ctx)
	} else {
		err = run(ctx, os.Stdout, allClients(strings.Split(*pythons, ","), strings.Split(*clis, ",")))
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}

// run prints a table with a line for each client that is installed, and then the failures.
func run(ctx context.Context, out io.Writer, clients []client) (err error) {
	l, err := startLab(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	fmt.Fprintf(out, "| client | version | %s |\n|---|---|%s\n", strings.Join(targets, " | "), strings.Repeat("---|", len(targets)))
	var notes []string
	rows := map[string]bool{}
	for _, c := range clients {
		version := c.installed(ctx)
		row := fmt.Sprintf("| %s | %s |", c.name, version)
		switch {
		case rows[row]: // several commands can be the same program
		case version == "":
			notes = append(notes, fmt.Sprintf("not installed: %s of %s", c.name, c.version[0]))
		default:
			fmt.Fprint(out, row)
			failures, broken := c.try(ctx, out, l, version)
			notes, err = append(notes, failures...), errors.Join(err, broken)
		}
		rows[row] = true
	}
	fmt.Fprintf(out, "\n%s\n", strings.Join(notes, "\n"))
	return err
}
