// Signers creates passwords and tokens for RDS, MSK, ElastiCache and EKS with the credentials of a
// pod. It runs against the test kit, whose STS verifies the signatures, without an AWS account.
// Each token is accepted for 15 minutes, regardless of the age of the credentials.
//
//	go -C examples/signers run .
package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program immediately
	err := run(ctx, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "signers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	kit, err := irsatest.Start()
	if err != nil {
		return err
	}
	defer kit.Close()
	shop := kit.ServiceAccount("shop", "cart")
	p, err := irsa.New(kit.Pod(shop, kit.Role("cart", irsatest.Trust(shop))).Options)
	if err != nil {
		return err
	}
	defer p.Close()
	t := newTokens(p)
	fmt.Fprintf(out, "%-12s %-32s %-12s  %s\n", "service", "token", "after 14m59s", "after 15m1s")
	for _, service := range services {
		token, err := service.sign(ctx, t)
		if err != nil {
			return err
		}
		shown := token[:min(len(token), 29)] + "..."
		early, late := verifyAfter(ctx, kit, service, token, tokenLifetime-time.Second), verifyAfter(ctx, kit, service, token, tokenLifetime+time.Second)
		fmt.Fprintf(out, "%-12s %-32s %-12s  %s\n", service.name, shown, early, late)
	}
	return nil
}

// services are the services that accept tokens. Each has a function to sign a token and one to verify
// it as the service does.
var services = []service{
	{"RDS", func(ctx context.Context, t *tokens) (string, error) { return t.rds(ctx, "db.example:5432", "app") }, verifyURL("rds-db")},
	{"MSK", func(ctx context.Context, t *tokens) (string, error) {
		token, _, err := t.kafka(ctx)
		return token, err
	}, verifyKafka},
	{"ElastiCache", func(ctx context.Context, t *tokens) (string, error) { return t.elastiCache(ctx, "carts", "app") }, verifyURL("elasticache")},
	{"EKS", func(ctx context.Context, t *tokens) (string, error) { return t.eks(ctx, "production") }, verifyEKS},
}

type service struct {
	name   string
	sign   func(context.Context, *tokens) (string, error)
	verify func(ctx context.Context, kit *irsatest.Cluster, token string) (callerARN string, err error)
}

// verifyAfter returns the result of verifying a token at a later time.
func verifyAfter(ctx context.Context, kit *irsatest.Cluster, s service, token string, later time.Duration) string {
	kit.STS.SetClockSkew(later)
	defer kit.STS.SetClockSkew(0)
	if _, err := s.verify(ctx, kit, token); err != nil {
		return "rejected"
	}
	return "accepted"
}

func verifyURL(name string) func(context.Context, *irsatest.Cluster, string) (string, error) {
	return func(ctx context.Context, kit *irsatest.Cluster, token string) (string, error) {
		request, err := requestOf(ctx, "https://"+token)
		if err != nil {
			return "", err
		}
		return kit.STS.Authenticate(request, name)
	}
}

func verifyKafka(ctx context.Context, kit *irsatest.Cluster, token string) (string, error) {
	signed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", err
	}
	request, err := requestOf(ctx, string(signed))
	if err != nil {
		return "", err
	}
	query := request.URL.Query()
	query.Del("User-Agent") // added after the signature
	request.URL.RawQuery = query.Encode()
	return kit.STS.Authenticate(request, "kafka-cluster")
}

// verifyEKS verifies the request in a token. In a real cluster, the API server sends the request to
// STS.
func verifyEKS(ctx context.Context, kit *irsatest.Cluster, token string) (string, error) {
	signed, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "k8s-aws-v1."))
	if err != nil {
		return "", err
	}
	request, err := requestOf(ctx, string(signed))
	if err != nil {
		return "", err
	}
	request.Header.Set("X-K8s-Aws-Id", "production")
	return kit.STS.Authenticate(request, "sts")
}

// requestOf returns the request in a token. It is only verified, never sent.
func requestOf(ctx context.Context, signedURL string) (*http.Request, error) {
	return http.NewRequestWithContext(ctx, http.MethodGet, signedURL, nil) // #nosec G704 -- not sent
}
