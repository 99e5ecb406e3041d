package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
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

// goCommand runs the go command and returns its output. It reports every 30 seconds that the
// command is still running.
func goCommand(what, dir string, args ...string) (string, error) {
	var out, errs bytes.Buffer
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT} // on SIGINT, the go command stops its compilers
	begin, done := time.Now(), make(chan error, 1)
	go func() { done <- cmd.Run() }()
	ticker := time.NewTicker(30 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				return "", fmt.Errorf("building %s: %w\n%s", what, err, errs.Bytes())
			}
			return strings.TrimSpace(out.String()), nil
		case <-ticker.C:
			fmt.Fprintf(os.Stderr, "building %s: %s by now; the first time it takes minutes, so give -timeout 40m (what is built already is kept)\n", what, time.Since(begin).Round(time.Second))
		}
	}
}
