package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// loopback is a pod with stand-ins for AWS on the loopback interface.
type loopback struct {
	kit   *irsatest.Cluster
	pod   *irsatest.Pod
	store *store
}

func startLoopback() (*loopback, error) {
	kit, err := irsatest.Start()
	if err != nil {
		return nil, err
	}
	sa := kit.ServiceAccount("shop", "receipts")
	role := kit.Role("receipts", irsatest.Trust(sa), irsatest.MaxSessionDuration(4*time.Hour))
	return &loopback{kit, kit.Pod(sa, role), &store{sts: kit.STS, objects: map[string][]byte{}}}, nil
}

// options sets the options for a program in the pod.
func (l *loopback) options(o *irsa.Options) {
	l.pod.Options(o)
	o.Logger = slog.New(slog.DiscardHandler)
}

// demo demonstrates each command using the loopback S3.
func demo(ctx context.Context, out io.Writer) error {
	l, err := startLoopback()
	if err != nil {
		return err
	}
	defer l.kit.Close()
	server := httptest.NewServer(l.store)
	defer server.Close()
	dir, err := os.MkdirTemp("", "irsakit-s3-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	s3 := func(args ...string) (string, error) {
		fmt.Fprintf(out, "s3 %s\n", strings.ReplaceAll(strings.Join(args, " "), dir+"/", ""))
		var printed strings.Builder
		err := run(ctx, append(args, "-endpoint", server.URL, "-path-style"), &printed, l.options)
		return strings.TrimSpace(printed.String()), err
	}
	if err := showFiles(out, s3, dir); err != nil {
		return err
	}
	return showURLs(ctx, out, s3, l.kit.STS)
}

const receipt = "s3://shop-receipts/2026/receipt.bin"

// showFiles uploads a file, downloads it again and compares the two.
func showFiles(out io.Writer, s3 func(...string) (string, error), dir string) error {
	sent, copied := filepath.Join(dir, "receipt.bin"), filepath.Join(dir, "copy.bin")
	content := bytes.Repeat([]byte("thank you\n"), 100_000)
	if err := os.WriteFile(sent, content, 0o600); err != nil {
		return err
	}
	if _, err := s3("put", sent, receipt); err != nil {
		return err
	}
	if _, err := s3("get", receipt, copied); err != nil {
		return err
	}
	got, err := os.ReadFile(copied)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, content) {
		return errors.New("s3: the copy differs from what was sent")
	}
	fmt.Fprintf(out, "  copy.bin has the same %d bytes\n", len(got))
	return nil
}

// showURLs presigns URLs. It fetches one of them before and after it expires.
func showURLs(ctx context.Context, out io.Writer, s3 func(...string) (string, error), clock *irsatest.STS) error {
	url, err := s3("presign", receipt, "-for", "15m")
	if err != nil {
		return err
	}
	for _, wait := range []time.Duration{0, 16 * time.Minute} {
		clock.SetClockSkew(wait)
		status, err := fetch(ctx, url)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "  fetched without credentials %s later: %s\n", wait, status)
	}
	clock.SetClockSkew(0)
	_, err = s3("presign", receipt, "-for", "2h")
	var failure *irsa.Error
	if !errors.Is(err, cache.ErrMinTTL) || !errors.As(err, &failure) {
		return fmt.Errorf("s3: the credentials were expected not to live long enough: %w", err)
	}
	explanation, _, _ := strings.Cut(err.Error(), ": operation error")
	fmt.Fprintf(out, "  %s\n", explanation)
	url, err = s3("presign", receipt, "-for", "2h", "-session", "4h")
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(url, "X-Amz-Expires=")
	seconds, _, _ := strings.Cut(rest, "&")
	fmt.Fprintf(out, "  a URL for %s seconds\n", seconds)
	return nil
}

// fetch gets a URL without credentials.
func fetch(ctx context.Context, url string) (status string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer reply.Body.Close() //nolint:errcheck // the body is read below
	size, err := io.Copy(io.Discard, reply.Body)
	if reply.StatusCode != http.StatusOK {
		return reply.Status, err
	}
	return fmt.Sprintf("%s, %d bytes", reply.Status, size), err
}
