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
  -endpoint URL  of another S3 than the region's; default: AWS_ENDPOINT_URL_S3
  -path-style    the bucket is part of the path, not of the host's name
  -for 15m       the life of the presigned URL
  -session 0s    the life of the credentials to ask STS for; 0 is an hour
`

// command is what the arguments say.
type command struct {
	verb      string
	file      string
	object    object
	endpoint  string
	pathStyle bool
	life      time.Duration // of a presigned URL
	session   time.Duration // of the credentials
}

// parse reads the arguments. Flags may stand behind the others.
func parse(args []string) (command, error) {
	var c command
	flags := flag.NewFlagSet("s3", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it
	isDemo := flags.Bool("demo", false, "")
	flags.StringVar(&c.endpoint, "endpoint", os.Getenv("AWS_ENDPOINT_URL_S3"), "")
	flags.BoolVar(&c.pathStyle, "path-style", false, "")
	flags.DurationVar(&c.life, "for", 15*time.Minute, "")
	flags.DurationVar(&c.session, "session", 0, "")
	var words []string
	for rest := args; ; {
		if err := flags.Parse(rest); err != nil {
			return c, err
		}
		if flags.NArg() == 0 {
			break
		}
		words, rest = append(words, flags.Arg(0)), flags.Args()[1:]
	}
	if len(args) == 0 || *isDemo && len(words) == 0 {
		words = []string{"demo"}
	}
	return c, c.read(words)
}

// read reads the arguments that are no flags.
func (c *command) read(words []string) error {
	if len(words) == 0 {
		return errors.New("say what to do")
	}
	c.verb = words[0]
	var url string
	switch {
	case c.verb == "demo" && len(words) == 1:
		return nil
	case c.verb == "put" && len(words) == 3:
		c.file, url = words[1], words[2]
	case c.verb == "get" && len(words) == 3:
		url, c.file = words[1], words[2]
	case c.verb == "presign" && len(words) == 2:
		url = words[1]
	default:
		return fmt.Errorf("%q is none of its commands", strings.Join(words, " "))
	}
	if c.life < time.Second {
		return fmt.Errorf("-for is %s: a URL lives a second at least", c.life)
	}
	var err error
	c.object, err = parseObject(url)
	return err
}

// object is where an object is.
type object struct{ bucket, key string }

func parseObject(url string) (object, error) {
	path, isS3 := strings.CutPrefix(url, "s3://")
	bucket, key, _ := strings.Cut(path, "/")
	if !isS3 || bucket == "" || key == "" {
		return object{}, fmt.Errorf("%q is not s3://bucket/key", url)
	}
	return object{bucket, key}, nil
}

// String is the object's URL.
func (o object) String() string { return "s3://" + o.bucket + "/" + o.key }

// run does it, with the pod's credentials.
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
		cfg.Credentials = p.MinTTL(c.life) // a URL dies with the credentials that signed it
		var url string
		if url, err = presign(ctx, c.client(cfg), c.object, c.life); err == nil {
			fmt.Fprintln(out, url)
		}
	}
	return err
}

// client is of AWS, or of another S3.
func (c command) client(cfg aws.Config) *s3.Client {
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = c.pathStyle
		if c.endpoint != "" {
			o.BaseEndpoint = &c.endpoint
		}
	})
}
