// Clients runs unmodified AWS clients in several languages against examples/sidecar, the test
// kit and examples/credential-process, and prints which of them obtain credentials.
//
//	go -C internal/test/clients run .
//
// It uses the clients that it finds: the AWS SDK for Go of this module, boto3 of each interpreter in -python, each
// AWS CLI in -aws, and the AWS SDK for JavaScript in the directories of NODE_PATH. It fails if a client does not
// obtain credentials, although the same version or an older one did: see clients.go.
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
	"testing"
)

func main() {
	pythons := flag.String("python", "python3,/usr/bin/python3", "Python `interpreters`, separated by commas")
	clis := flag.String("aws", "aws,/usr/bin/aws", "`commands` of the AWS CLI, separated by commas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if os.Getenv(goVariable) != "" {
		goIdentity(ctx)
		return
	}
	all := func(string, string) (bool, error) { return true, nil }
	clients := func(t *testing.T) { // ends the lab
		must(t, run(ctx, t, os.Stdout, allClients(strings.Split(*pythons, ","), strings.Split(*clis, ","))))
	}
	testing.Main(all, []testing.InternalTest{{Name: "Clients", F: clients}}, nil, nil)
}

// must ends the test if there is an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run prints a table with a line for each client that is installed, and then the failures.
func run(ctx context.Context, t *testing.T, out io.Writer, clients []client) (broken error) {
	l := startLab(ctx, t)
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
			failures, err := c.try(ctx, out, l, version)
			notes, broken = append(notes, failures...), errors.Join(broken, err)
		}
		rows[row] = true
	}
	fmt.Fprintf(out, "\n%s\n", strings.Join(notes, "\n"))
	return broken
}
