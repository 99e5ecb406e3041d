package tokenfile_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/irsakit/irsakit/tokenfile"
)

// In a pod, use the path in AWS_WEB_IDENTITY_TOKEN_FILE.
func ExampleRead() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "token")

	_, err = tokenfile.Read(path)
	fmt.Println("missing:", errors.Is(err, fs.ErrNotExist))

	_ = os.WriteFile(path, []byte("not a token\n"), 0o600)
	_, err = tokenfile.Read(path)
	fmt.Println("malformed:", errors.Is(err, tokenfile.ErrMalformed))

	_ = os.WriteFile(path, []byte(withClaims(`{"sub":"system:serviceaccount:shop:cart"}`)+"\n"), 0o600)
	token, err := tokenfile.Read(path)
	fmt.Println(token.Claims().Subject, err)

	// Output:
	// missing: true
	// malformed: true
	// system:serviceaccount:shop:cart <nil>
}

func ExampleParse() {
	// The Kubernetes TokenRequest API returns a token in this form.
	text := withClaims(`{"aud":["sts.amazonaws.com"],"exp":1767312000,"sub":"system:serviceaccount:shop:cart"}`)
	token, err := tokenfile.Parse(text)
	if err != nil {
		log.Fatal(err)
	}
	claims := token.Claims()
	fmt.Println(claims.Subject, "for", claims.Audience, "until", claims.Expiry.Format(time.RFC3339))

	_, err = tokenfile.Parse(text[:20])
	fmt.Println(err)

	// Output:
	// system:serviceaccount:shop:cart for [sts.amazonaws.com] until 2026-01-02T00:00:00Z
	// tokenfile: not a web identity token: it does not have the three parts of a signed JWT
}

func ExampleWatch() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "token")

	recheck := make(chan struct{}, 1)
	tokens := tokenfile.Watch(context.Background(), path, func(o *tokenfile.WatchOptions) {
		o.Interval = func() time.Duration { return 10 * time.Second }
		o.Recheck = recheck // polls without waiting ten seconds
	})
	for token, err := range tokens {
		if err != nil {
			fmt.Println("no token yet:", errors.Is(err, fs.ErrNotExist))
			_ = os.WriteFile(path, []byte(withClaims(`{"sub":"system:serviceaccount:shop:cart"}`)), 0o600)
			recheck <- struct{}{}
			continue
		}
		fmt.Println(token.Claims().Subject)
		break
	}

	// Output:
	// no token yet: true
	// system:serviceaccount:shop:cart
}

func ExampleToken() {
	token, err := tokenfile.Parse(withClaims(`{"sub":"system:serviceaccount:shop:cart"}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token)
	fmt.Printf("%s %x\n", []any{token}, &token)
	text, err := json.Marshal(map[string]any{"token": token, "subject": token.Claims().Subject})
	fmt.Println(string(text), err)
	fmt.Println(len(token.Reveal()), "bytes for STS")

	// Output:
	// [web identity token redacted]
	// [[web identity token redacted]] [web identity token redacted]
	// {"subject":"system:serviceaccount:shop:cart","token":"[web identity token redacted]"} <nil>
	// 171 bytes for STS
}
