package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// programs contains the paths of the programs that the tests run. The first two programs are
// in Go's build cache, because they are built by "go tool".
type programs struct {
	controlPlane, minio string
	application, doctor string
}

// buildPrograms builds the programs without the race detector. Go builds only what has
// changed.
func buildPrograms(dir string) (programs, error) {
	p := programs{application: dir + "/application", doctor: dir + "/doctor"}
	_, err := goCommand("the pod's programs", ".", "build", "-o", dir+"/", "./application", "github.com/irsakit/irsakit/examples/doctor")
	if err != nil {
		return p, err
	}
	if p.controlPlane, err = goCommand("the Kubernetes API server", ".", "tool", "-n", "controlplane"); err != nil {
		return p, err
	}
	p.minio, err = goCommand("MinIO", "minio", "tool", "-n", "minio")
	return p, err
}

// goCommand runs the go command and returns its output.
func goCommand(what, dir string, args ...string) (string, error) {
	fmt.Fprintf(os.Stderr, "building %s: this takes minutes the first time, so use -timeout 40m\n", what)
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT} // on SIGINT, the go command stops its compilers
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return "", fmt.Errorf("building %s: %w\n%s", what, err, failed.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}
