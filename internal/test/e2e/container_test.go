package e2e

import (
	"bytes"
	"os/exec"
	"regexp"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// A result is the result of a program in a container.
type result struct {
	code        int
	out, errors string
}

// run runs a program in the way in which the pod's container runs it: with the environment in
// the pod from the API server, and without that of the test.
func (p *pod) run(t *testing.T, container corev1.Container, program string, args ...string) result {
	t.Helper()
	return p.runAs(t, nil, container, program, args...)
}

// wrapped matches the line breaks within a paragraph of the doctor's report.
var wrapped = regexp.MustCompile(`\n {9,}`)

// runAs runs a program as another user.
func (p *pod) runAs(t *testing.T, user *syscall.Credential, container corev1.Container, program string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	if program == cluster.programs.doctor {
		args = append([]string{"-v"}, args...)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Env = cluster.dir, append([]string{"HOME=/nowhere"}, p.environ(container)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: user}
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	t.Logf("%s %v has ended with %d\n%s%s", program, args, cmd.ProcessState.ExitCode(), out.Bytes(), errs.Bytes())
	return result{cmd.ProcessState.ExitCode(), wrapped.ReplaceAllString(out.String(), " "), errs.String()}
}
