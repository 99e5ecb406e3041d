package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/irsakit/irsakit/irsa"
)

// runInPod uses a bucket with the pod's credentials until ctx is done.
func runInPod(ctx context.Context, out io.Writer, endpoint, bucket string) error {
	p, err := irsa.New()
	if err != nil {
		return err
	}
	defer p.Close()
	client, err := newClient(p, endpoint, nil)
	if err != nil {
		return err
	}
	repeat(ctx, out, client, bucket)
	return nil
}

// repeat uploads and downloads an object every second and prints the results, until ctx is done.
func repeat(ctx context.Context, out io.Writer, client *minio.Client, bucket string) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		fmt.Fprintln(out, result(uploadAndDownload(ctx, client, bucket)))
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func uploadAndDownload(ctx context.Context, client *minio.Client, bucket string) error {
	const name = "irsakit-example.txt"
	uploaded := time.Now().String()
	_, err := client.PutObject(ctx, bucket, name, strings.NewReader(uploaded), int64(len(uploaded)), minio.PutObjectOptions{})
	if err != nil {
		return err
	}
	object, err := client.GetObject(ctx, bucket, name, minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	defer object.Close() //nolint:errcheck // it has been read
	downloaded, err := io.ReadAll(object)
	if err == nil && string(downloaded) != uploaded {
		err = fmt.Errorf("minio: downloaded %d other bytes", len(downloaded))
	}
	return err
}

// result returns the first part of an error's text, or "ok".
func result(err error) string {
	if err == nil {
		return "ok"
	}
	text, _, _ := strings.Cut(err.Error(), " (")
	return text
}
