// Irsakit is the smallest program that gets credentials with irsakit.
package main

import (
	"context"

	"github.com/irsakit/irsakit/internal/test/bench/start/ready"
	"github.com/irsakit/irsakit/irsa"
)

func main() {
	p, err := irsa.New()
	if err != nil {
		panic(err)
	}
	defer p.Close()
	ready.Report(p.Retrieve(context.Background()))
}
