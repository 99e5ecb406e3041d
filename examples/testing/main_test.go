package shop_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"testing"

	shop "github.com/irsakit/irsakit/examples/testing"
)

// TestMain runs the tests, or prints a link as the child process of a test.
func TestMain(m *testing.M) {
	if order := os.Getenv("SHOP_ORDER"); order != "" {
		printLink(order)
		return
	}
	unsetAWS()
	os.Exit(m.Run())
}

// unsetAWS unsets the machine's AWS variables, so that they do not affect the tests.
func unsetAWS() {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			if err := os.Unsetenv(name); err != nil {
				panic(err)
			}
		}
	}
}

// printLink does what a main function could do.
func printLink(order string) {
	u, err := shop.NewUploader()
	if err != nil {
		log.Fatal(err)
	}
	defer u.Close()
	link, err := u.Link(context.Background(), order)
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Println(link)
}
