//go:build unix

package irsatest_test

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"strings"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// A child process gets the pod's environment, but no other AWS variables.
func ExamplePod_Environ() {
	k, err := irsatest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer k.Close()
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))

	child := exec.Command("env") // or an application that uses any AWS SDK
	child.Env = append([]string{"PATH=" + os.Getenv("PATH")}, pod.Environ()...)
	out, err := child.Output()
	if err != nil {
		log.Print(err)
		return
	}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "AWS_ROLE_ARN":
			fmt.Println(name, value)
		case "AWS_ENDPOINT_URL_STS":
			fmt.Println(name, value == k.STS.Endpoint())
		}
	}

	// Output:
	// AWS_ROLE_ARN arn:aws:iam::111122223333:role/s3-writer
	// AWS_ENDPOINT_URL_STS true
}
