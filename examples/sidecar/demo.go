package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsametrics"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// runDemo starts a sidecar against the test kit, and prints its responses to authorized and
// unauthorized requests.
func runDemo(ctx context.Context, out io.Writer) (err error) {
	k, err := irsatest.Start()
	if err != nil {
		return err
	}
	defer k.Close()
	directory, err := os.MkdirTemp("", "sidecar")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	sa := k.ServiceAccount("shop", "cart")
	metrics := irsametrics.New()
	p, err := irsa.New(k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa))).Options, func(o *irsa.Options) {
		o.Observe, o.Logger = metrics.Observe, slog.New(slog.DiscardHandler)
	})
	if err != nil {
		return err
	}
	defer p.Close()
	metrics.Add(p)

	o := options{listen: "127.0.0.1:0", health: "127.0.0.1:0", metrics: "127.0.0.1:0", tokenFile: filepath.Join(directory, "token"), connections: 16}
	s, err := start(o, p, metrics)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- s.serve(ctx) }()
	err = printResponses(ctx, out, s, o.tokenFile, k.STS)
	stop()
	return errors.Join(err, <-served)
}

// printResponses prints the responses to several requests.
func printResponses(ctx context.Context, out io.Writer, s *sidecar, tokenFile string, sts *irsatest.STS) error {
	token, err := authorization{tokenFile}.read()
	if err != nil {
		return err
	}
	for _, request := range []struct{ sender, url, token string }{
		{"A program in the pod", s.uri(), token},
		{"A program without the token", s.uri(), ""},
		{"A program with another token", s.uri(), token[:len(token)-1] + "!"},
		{"The kubelet", "http://" + s.health.Addr().String() + "/readyz", ""},
	} {
		if err := printResponse(ctx, out, request.sender, request.url, request.token); err != nil {
			return err
		}
	}
	sts.Down()
	fmt.Fprintln(out, "\nSTS is down.")
	return printResponse(ctx, out, "A program in the pod", s.uri(), token)
}

func printResponse(ctx context.Context, out io.Writer, sender, url, token string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s: GET %s\n  %s\n  %s", sender, url, response.Status, truncateSecrets(body))
	return nil
}

// truncateSecrets returns a response with its secrets truncated.
func truncateSecrets(body []byte) string {
	var c credentials
	if json.Unmarshal(body, &c) != nil || c.SecretAccessKey == "" {
		return string(body)
	}
	c.SecretAccessKey, c.Token = c.SecretAccessKey[:4]+"…", c.Token[:8]+"…"
	text, err := json.Marshal(c)
	if err != nil {
		return err.Error()
	}
	return string(text) + "\n"
}
