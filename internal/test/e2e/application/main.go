// Application is the program that runs in the pods of the tests. It gets credentials
// according to its environment and uses S3 with them, once for each way to set up the
// library. It prints the results as JSON.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/irsakit/irsakit/irsa"
)

const bucket = "shop-receipts"

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	p, err := irsa.New()
	if err != nil {
		return err
	}
	defer p.Close()
	loaded, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	loaded.Credentials = p
	wrapped, err := config.LoadDefaultConfig(ctx, config.WithCredentialsProvider(p))
	if err != nil {
		return err
	}
	var done []string
	for name, cfg := range map[string]aws.Config{"AWSConfig": p.AWSConfig(), "LoadDefaultConfig": loaded, "WithCredentialsProvider": wrapped} {
		client := s3.NewFromConfig(cfg, func(o *s3.Options) {
			o.BaseEndpoint, o.UsePathStyle = aws.String(os.Getenv("AWS_ENDPOINT_URL_S3")), true
		})
		if err := use(ctx, client, cfg.HTTPClient, os.Args[1]+"/"+name); err != nil {
			return fmt.Errorf("application: with %s: %w", name, err)
		}
		done = append(done, name)
	}
	credentials, err := p.Retrieve(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"done": done, "accessKeyID": credentials.AccessKeyID, "expires": credentials.Expires, "canExpire": credentials.CanExpire,
	})
}

// use puts and gets objects: with single requests, with a multipart upload and with a
// presigned URL.
func use(ctx context.Context, client *s3.Client, web aws.HTTPClient, key string) error {
	small := []byte("thank you for " + key)
	_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader(small)})
	if err != nil {
		return err
	}
	reply, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
	if err != nil {
		return err
	}
	defer reply.Body.Close() //nolint:errcheck // expect has read it
	if err := expect(reply.Body, small); err != nil {
		return fmt.Errorf("GetObject: %w", err)
	}
	large := bytes.Repeat([]byte("0123456789abcdef"), 6<<20/16) // two parts; the first must have at least 5 MiB
	if err := putParts(ctx, client, key+".parts", large[:5<<20], large[5<<20:]); err != nil {
		return fmt.Errorf("multipart upload: %w", err)
	}
	part := key + ".parts"
	request, err := s3.NewPresignClient(client).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &part})
	if err != nil {
		return err
	}
	if err := getURL(ctx, web, request.URL, large); err != nil {
		return fmt.Errorf("presigned GET: %w", err)
	}
	return nil
}

func putParts(ctx context.Context, client *s3.Client, key string, parts ...[]byte) error {
	upload, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: &key})
	if err != nil {
		return err
	}
	var whole types.CompletedMultipartUpload
	for i, part := range parts {
		number := aws.Int32(int32(i + 1))
		out, err := client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: aws.String(bucket), Key: &key, UploadId: upload.UploadId, PartNumber: number, Body: bytes.NewReader(part),
		})
		if err != nil {
			return err
		}
		whole.Parts = append(whole.Parts, types.CompletedPart{ETag: out.ETag, PartNumber: number, ChecksumCRC32: out.ChecksumCRC32})
	}
	_, err = client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &key, UploadId: upload.UploadId, MultipartUpload: &whole,
	})
	return err
}

// getURL gets the object of a presigned URL, without credentials.
func getURL(ctx context.Context, web aws.HTTPClient, url string, want []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	reply, err := web.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close() //nolint:errcheck // expect has read it
	if reply.StatusCode != http.StatusOK {
		return fmt.Errorf("the reply is %s", reply.Status)
	}
	return expect(reply.Body, want)
}

func expect(body io.Reader, want []byte) error {
	got, err := io.ReadAll(body)
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("%d bytes are not the %d that were put", len(got), len(want))
	}
	return err
}
