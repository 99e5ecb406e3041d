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
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/irsakit/irsakit/irsa/irsatest"
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

// The targets, from which clients obtain credentials.
const (
	sidecarFile  = "sidecar, `_TOKEN_FILE`"
	sidecarToken = "sidecar, `_TOKEN`"
	kit          = "kit"
	process      = "credential-process"
)

var targets = []string{sidecarFile, sidecarToken, kit, process}

// session is the beginning of the ARN of all credentials.
const session = "arn:aws:sts::111122223333:assumed-role/s3-writer/"

// lab provides the targets. All of them obtain credentials from the kit.
type lab struct {
	t         *testing.T
	pod       *irsatest.Pod
	directory string
	uri       string // the sidecar's URI
}

func startLab(ctx context.Context, t *testing.T) *lab {
	k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback = true })
	sa := k.ServiceAccount("shop", "cart")
	l := &lab{t: t, pod: k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa))), directory: t.TempDir()}
	for _, program := range []string{"sidecar", "credential-process"} {
		build := exec.CommandContext(ctx, "go", "build", "-C", "../../../examples/"+program, "-o", l.directory+"/", ".") // #nosec G204
		build.Stderr = os.Stderr
		must(t, build.Run())
	}
	l.startSidecar()
	return l
}

var (
	uriPattern = regexp.MustCompile(`uri=(\S+)`)
	identity   = regexp.MustCompile(`^AWS_(ROLE_ARN|WEB_IDENTITY_TOKEN_FILE)=`)
)

// startSidecar starts the sidecar and waits until it listens.
func (l *lab) startSidecar() {
	const free = "127.0.0.1:0"
	command := exec.Command(filepath.Join(l.directory, "sidecar"), "-listen", free, "-health", free, "-metrics", free,
		"-token-file", filepath.Join(l.directory, "token")) // #nosec G204
	command.Env = l.pod.Environ()
	stderr, err := command.StderrPipe()
	must(l.t, err)
	must(l.t, command.Start())
	log := bufio.NewReader(stderr)
	l.t.Cleanup(func() {
		err := command.Process.Signal(syscall.SIGTERM)
		_, _ = io.Copy(os.Stderr, log)
		must(l.t, errors.Join(err, command.Wait()))
	})
	for l.uri == "" {
		line, err := log.ReadString('\n')
		if err != nil {
			l.t.Fatalf("the sidecar did not start: %s", line)
		}
		if match := uriPattern.FindStringSubmatch(line); match != nil {
			l.uri = match[1]
		}
	}
}

// environment returns the environment of a client that uses the target. It contains no
// settings and no credentials of the user.
func (l *lab) environment(target string) []string {
	home := l.t.TempDir() // each its own: the AWS CLI keeps credentials there
	config := filepath.Join(home, "config")
	environment := []string{
		"PATH=" + os.Getenv("PATH"), "NODE_PATH=" + os.Getenv("NODE_PATH"),
		"HOME=" + home, "AWS_CONFIG_FILE=" + config, "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(home, "none"),
		"AWS_SDK_LOAD_CONFIG=1", // makes old SDKs read AWS_CONFIG_FILE
		"AWS_EC2_METADATA_DISABLED=true",
		"HTTPS_PROXY=http://127.0.0.1:1", // clients that use it send nothing to AWS
		"NODE_NO_WARNINGS=1",
	}
	for _, variable := range l.pod.Environ() {
		if target == kit || !identity.MatchString(variable) { // SDKs prefer a web identity to the other targets
			environment = append(environment, variable)
		}
	}
	tokenFile := filepath.Join(l.directory, "token")
	token, err := os.ReadFile(tokenFile)
	must(l.t, err)
	text := "[default]\n"
	switch target {
	case sidecarFile:
		environment = append(environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+l.uri, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+tokenFile)
	case sidecarToken:
		environment = append(environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+l.uri, "AWS_CONTAINER_AUTHORIZATION_TOKEN="+string(token))
	case process:
		text += fmt.Sprintf("credential_process = /usr/bin/env %s %s\n", strings.Join(l.pod.Environ(), " "), filepath.Join(l.directory, "credential-process"))
	}
	must(l.t, os.WriteFile(config, []byte(text), 0o600))
	return environment
}
