package main

import (
	"context"
	"encoding/json"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestMetricsOmitSecrets(t *testing.T) {
	r := newSidecar(t, 16)
	creds, err := r.provider.Retrieve(t.Context())
	require.NoError(t, err)
	_, body := send(t, "http://"+r.metrics.Addr().String()+"/metrics", nil)
	assert.Contains(t, body, "irsa_")
	assert.Contains(t, body, "s3-writer")
	for _, secret := range []string{creds.SecretAccessKey, creds.SessionToken, r.token(t)} {
		assert.NotContains(t, body, secret)
	}
	for _, address := range []string{r.health.Addr().String(), r.metrics.Addr().String()} {
		response, body := send(t, "http://"+address+path, with(r.token(t)))
		assert.Equal(t, http.StatusNotFound, response.StatusCode)
		assert.NotContains(t, body, creds.AccessKeyID)
	}
}

func TestLogOmitsSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	logged, err := os.Create(file)
	require.NoError(t, err)
	defaultLogger := slog.Default()
	t.Cleanup(func() {
		slog.SetDefault(defaultLogger)
		log.SetOutput(os.Stderr)
		_ = logged.Close()
	})
	slog.SetDefault(slog.New(slog.NewTextHandler(logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	text := func() string {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		return string(text)
	}
	k := irsatest.New(t)
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	k.STS.Fail(irsatest.AccessDenied, 1)
	o := options{listen: "127.0.0.1:0", health: "127.0.0.1:0", metrics: "127.0.0.1:0", tokenFile: filepath.Join(t.TempDir(), "token"), connections: 16}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- run(ctx, o, pod.Options, func(o *irsa.Options) { o.Logger = slog.Default() }) }()
	t.Cleanup(func() { cancel(); assert.NoError(t, <-served) })
	serving := regexp.MustCompile(`uri=(\S+)`)
	require.Eventually(t, func() bool { return serving.MatchString(text()) }, time.Minute, time.Millisecond)
	uri := serving.FindStringSubmatch(text())[1]

	token, err := authorization{o.tokenFile}.read()
	require.NoError(t, err)
	var got credentials
	require.Eventually(t, func() bool {
		response, body := send(t, uri, with(token))
		return response.StatusCode == http.StatusOK && json.Unmarshal([]byte(body), &got) == nil
	}, time.Minute, 10*time.Millisecond)
	send(t, uri, with("guessed-by-somebody"))
	require.NoError(t, os.WriteFile(o.tokenFile, []byte("much2short"), 0o600))
	send(t, uri, with(token))

	assert.Contains(t, text(), "AccessDenied")
	require.Eventually(t, func() bool { return strings.Contains(text(), "no authorization token") }, time.Minute, time.Millisecond)
	for _, secret := range []string{got.SecretAccessKey, got.Token, token, "guessed-by-somebody", "much2short", pod.Token()} {
		require.NotEmpty(t, secret)
		assert.NotContains(t, text(), secret)
	}
}
