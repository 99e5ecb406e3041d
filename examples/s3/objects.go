package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/irsakit/irsakit/cache"
	"github.com/irsakit/irsakit/internal/regularfile"
)

// put uploads a file without loading it into memory. The SDK reads it while sending the request, and
// again on a retry.
func put(ctx context.Context, client *s3.Client, file string, to object) error {
	f, _, err := regularfile.Open(file) // a named pipe would block
	if err != nil {
		return fmt.Errorf("s3: %w", err)
	}
	defer f.Close()
	if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &to.bucket, Key: &to.key, Body: f}); err != nil {
		return fmt.Errorf("s3: put %s: %w", to, err)
	}
	return nil
}

// get downloads an object to file. On error, an existing file is left unchanged.
func get(ctx context.Context, client *s3.Client, from object, file string) error {
	reply, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &from.bucket, Key: &from.key})
	if err != nil {
		return fmt.Errorf("s3: get %s: %w", from, err)
	}
	defer reply.Body.Close() //nolint:errcheck // the body is read by replace
	if err := replace(file, reply.Body); err != nil {
		return fmt.Errorf("s3: get %s: %w", from, err)
	}
	return nil
}

// replace atomically replaces file with content. It writes to a new file in the same directory, and
// renames it after syncing. Only the user can read the file.
func replace(file string, content io.Reader) error {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// presign returns a URL that gives anyone access to the object until it expires. The client's
// credentials must be valid for at least as long.
func presign(ctx context.Context, client *s3.Client, from object, expiresIn time.Duration) (string, error) {
	in := &s3.GetObjectInput{Bucket: &from.bucket, Key: &from.key}
	request, err := s3.NewPresignClient(client).PresignGetObject(ctx, in, s3.WithPresignExpires(expiresIn))
	switch {
	case errors.Is(err, cache.ErrMinTTL):
		return "", fmt.Errorf("s3: presign %s: the credentials do not live long enough for a URL of %s, make -for shorter or -session longer: %w", from, expiresIn, err)
	case err != nil:
		return "", fmt.Errorf("s3: presign %s: %w", from, err)
	}
	return request.URL, nil
}
