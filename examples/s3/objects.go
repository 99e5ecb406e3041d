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
)

// put uploads a file. It is never in memory as a whole: the SDK reads it as it sends it,
// and again where it tries again.
func put(ctx context.Context, client *s3.Client, file string, to object) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("s3: %w", err)
	}
	defer f.Close()
	if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &to.bucket, Key: &to.key, Body: f}); err != nil {
		return fmt.Errorf("s3: put %s: %w", to, err)
	}
	return nil
}

// get downloads an object. The file is there as a whole, or as it was before.
func get(ctx context.Context, client *s3.Client, from object, file string) error {
	reply, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &from.bucket, Key: &from.key})
	if err != nil {
		return fmt.Errorf("s3: get %s: %w", from, err)
	}
	defer reply.Body.Close() //nolint:errcheck // replace has read it
	if err := replace(file, reply.Body); err != nil {
		return fmt.Errorf("s3: get %s: %w", from, err)
	}
	return nil
}

// replace writes what it reads into a new file beside the old one, and renames it when
// all is on the disk. Only the user can read it.
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

// presign returns a URL that anybody can get the object with. The client's credentials
// have to live as long.
func presign(ctx context.Context, client *s3.Client, of object, life time.Duration) (string, error) {
	in := &s3.GetObjectInput{Bucket: &of.bucket, Key: &of.key}
	request, err := s3.NewPresignClient(client).PresignGetObject(ctx, in, s3.WithPresignExpires(life))
	switch {
	case errors.Is(err, cache.ErrMinTTL):
		return "", fmt.Errorf("s3: presign %s: the credentials do not live long enough for a URL of %s, make -for shorter or -session longer: %w", of, life, err)
	case err != nil:
		return "", fmt.Errorf("s3: presign %s: %w", of, err)
	}
	return request.URL, nil
}
