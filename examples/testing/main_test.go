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

// TestMain runs the tests, or is the program of a test: one that prints a link.
func TestMain(m *testing.M) {
	if order := os.Getenv("SHOP_ORDER"); order != "" {
		printLink(order)
		return
	}
	unsetAWS()
	os.Exit(m.Run())
}

// unsetAWS sees to it that no AWS variable of the developer's decides a test.
func unsetAWS() {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			if err := os.Unsetenv(name); err != nil {
				panic(err)
			}
		}
	}
}

// printLink is what a main function could be.
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
