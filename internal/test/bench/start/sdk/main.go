// Sdk is the smallest program that gets credentials with the SDK's config package.
package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/irsakit/irsakit/internal/test/bench/start/ready"
)

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		panic(err)
	}
	ready.Report(cfg.Credentials.Retrieve(context.Background()))
}
