// Minio uploads objects with minio-go and the credentials of a pod. It runs against the test kit
// and an in-memory S3, without an AWS account. The STS outage lasts beyond the expiry of the
// credentials. Requests then fail too, but are never sent unsigned.
//
//	go -C examples/minio run .
//
// Given the address of a server and a bucket as arguments, it uses them with the credentials of the
// pod in which it runs, until it is interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

const lifetime = 3 * time.Second // AWS's minimum is 15 minutes

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program immediately
	err := errors.New("usage: minio [server bucket]")
	switch len(os.Args) {
	case 1:
		err = run(ctx, os.Stdout)
	case 3:
		err = runInPod(ctx, os.Stdout, os.Args[1], os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "minio:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	kit, err := irsatest.Start()
	if err != nil {
		return err
	}
	defer kit.Close()
	kit.STS.SetLifetime(lifetime)
	s3 := &store{sts: kit.STS, objects: map[string][]byte{}}
	server := httptest.NewTLSServer(s3)
	defer server.Close()

	receipts := kit.ServiceAccount("shop", "receipts")
	pod := kit.Pod(receipts, kit.Role("receipts", irsatest.Trust(receipts)))
	p, err := irsa.New(pod.Options, func(o *irsa.Options) { o.Logger = slog.New(slog.DiscardHandler) })
	if err != nil {
		return err
	}
	defer p.Close()
	client, err := newClient(p, strings.TrimPrefix(server.URL, "https://"), server.Client().Transport)
	if err != nil {
		return err
	}
	return demonstrate(ctx, out, kit, pod, p, client, s3)
}

// newClient returns a client with the credentials of p.
func newClient(p *irsa.Provider, endpoint string, transport http.RoundTripper) (*minio.Client, error) {
	return minio.New(endpoint, &minio.Options{
		Creds:      newCredentials(p),
		Secure:     true,
		Region:     p.AWSConfig().Region,
		Transport:  transport,
		MaxRetries: 1,
	})
}

// demonstrate uploads an object before, during and after an outage of the STS.
func demonstrate(ctx context.Context, out io.Writer, kit *irsatest.Cluster, pod *irsatest.Pod, p *irsa.Provider, client *minio.Client, s3 *store) error {
	upload := func(when string) {
		_, err := client.PutObject(ctx, "receipts", "2026/1.txt", strings.NewReader("thank you"), 9, minio.PutObjectOptions{})
		fmt.Fprintf(out, "%-34s %s\n", when, result(err))
	}
	for _, step := range []struct {
		when    string
		prepare func()
		wait    time.Duration
	}{
		{"first upload", func() {}, 0},
		{"after a refresh and a rotation", func() { pod.Rotate() }, lifetime},
		{"STS down, credentials valid", kit.STS.Down, lifetime / 10},
		{"STS down, credentials expired", func() {}, lifetime},
		{"STS up again", func() { kit.STS.Up(); _ = p.WaitReady(ctx) }, 0},
	} {
		step.prepare()
		select {
		case <-time.After(step.wait):
		case <-ctx.Done():
			return ctx.Err()
		}
		upload(step.when)
	}
	fmt.Fprintf(out, "\nS3 received %d signed and %d unsigned requests.\n", s3.signed.Load(), s3.unsigned.Load())
	return nil
}
