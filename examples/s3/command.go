package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/irsakit/irsakit/irsa"
)

const usage = `usage: s3 put <file> s3://bucket/key
       s3 get s3://bucket/key <file>
       s3 presign s3://bucket/key
       s3 -demo
  -endpoint URL  the endpoint of S3; default: AWS_ENDPOINT_URL_S3, then AWS
  -path-style    the bucket is part of the path, not of the host name
  -for 15m       the lifetime of the presigned URL
  -session 0s    the lifetime of the credentials; 0 means one hour
`

// command is a parsed command line.
type command struct {
	verb      string
	file      string
	object    object
	endpoint  string
	pathStyle bool
	expiresIn time.Duration // lifetime of a presigned URL
	session   time.Duration // lifetime of the credentials
}

// parse parses the arguments. Flags may follow positional arguments.
func parse(args []string) (command, error) {
	var c command
	flags := flag.NewFlagSet("s3", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error contains the same message
	isDemo := flags.Bool("demo", false, "")
	flags.StringVar(&c.endpoint, "endpoint", os.Getenv("AWS_ENDPOINT_URL_S3"), "")
	flags.BoolVar(&c.pathStyle, "path-style", false, "")
	flags.DurationVar(&c.expiresIn, "for", 15*time.Minute, "")
	flags.DurationVar(&c.session, "session", 0, "")
	var positional []string
	for rest := args; ; {
		if err := flags.Parse(rest); err != nil {
			return c, err
		}
		if flags.NArg() == 0 {
			break
		}
		positional, rest = append(positional, flags.Arg(0)), flags.Args()[1:]
	}
	if len(args) == 0 || *isDemo && len(positional) == 0 {
		positional = []string{"demo"}
	}
	return c, c.parsePositional(positional)
}

// parsePositional parses the positional arguments.
func (c *command) parsePositional(args []string) error {
	if len(args) == 0 {
		return errors.New("no command")
	}
	c.verb = args[0]
	var url string
	switch {
	case c.verb == "demo" && len(args) == 1:
		return nil
	case c.verb == "put" && len(args) == 3:
		c.file, url = args[1], args[2]
	case c.verb == "get" && len(args) == 3:
		url, c.file = args[1], args[2]
	case c.verb == "presign" && len(args) == 2:
		url = args[1]
	default:
		return fmt.Errorf("unknown command %q", strings.Join(args, " "))
	}
	if c.expiresIn < time.Second {
		return fmt.Errorf("-for is %s; the minimum is 1s", c.expiresIn)
	}
	var err error
	c.object, err = parseObject(url)
	return err
}

// object identifies an object in S3.
type object struct{ bucket, key string }

func parseObject(url string) (object, error) {
	path, isS3 := strings.CutPrefix(url, "s3://")
	bucket, key, _ := strings.Cut(path, "/")
	if !isS3 || bucket == "" || key == "" {
		return object{}, fmt.Errorf("%q is not s3://bucket/key", url)
	}
	return object{bucket, key}, nil
}

// String returns the s3:// URL of the object.
func (o object) String() string { return "s3://" + o.bucket + "/" + o.key }

// run executes the command with the pod's credentials.
func (c command) run(ctx context.Context, out io.Writer, optFns ...func(*irsa.Options)) error {
	optFns = append(optFns, func(o *irsa.Options) { o.Duration = c.session })
	p, err := irsa.New(optFns...)
	if err != nil {
		return err
	}
	defer p.Close()
	switch c.verb {
	case "put":
		err = put(ctx, c.client(p.AWSConfig()), c.file, c.object)
	case "get":
		err = get(ctx, c.client(p.AWSConfig()), c.object, c.file)
	default:
		cfg := p.AWSConfig()
		cfg.Credentials = p.MinTTL(c.expiresIn) // a URL expires with the credentials that signed it
		var url string
		if url, err = presign(ctx, c.client(cfg), c.object, c.expiresIn); err == nil {
			_, err = fmt.Fprintln(out, url)
		}
	}
	return err
}

// client returns a client for AWS, or for the S3 at c.endpoint.
func (c command) client(cfg aws.Config) *s3.Client {
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = c.pathStyle
		if c.endpoint != "" {
			o.BaseEndpoint = &c.endpoint
		}
	})
}
