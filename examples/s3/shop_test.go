package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// objectURL contains characters that must be escaped for signing.
const objectURL = "s3://shop-receipts/a b/receipt+1.txt"

// shop is a pod with an S3 and a directory for files.
type shop struct {
	*loopback
	t      *testing.T
	dir    string
	server string // the URL of the S3
}

// newShop starts a shop. Its S3 is the handler that wrap returns for the store.
func newShop(t *testing.T, wrap func(store http.Handler) http.Handler) *shop {
	t.Helper()
	l, err := startLoopback()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.kit.Close()) })
	server := httptest.NewServer(wrap(l.store))
	t.Cleanup(server.Close)
	return &shop{l, t, t.TempDir(), server.URL}
}

// unwrapped returns the store itself.
func unwrapped(store http.Handler) http.Handler { return store }

// run runs the command on the loopback S3.
func (s *shop) run(args ...string) (string, error) {
	var out bytes.Buffer
	err := run(s.t.Context(), append(args, "-endpoint", s.server, "-path-style"), &out, s.options)
	return strings.TrimSpace(out.String()), err
}

func (s *shop) path(name string) string { return filepath.Join(s.dir, name) }

func (s *shop) write(name, content string) string {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(s.path(name), []byte(content), 0o600))
	return s.path(name)
}

// requireFiles requires that the directory contains exactly the given files.
func (s *shop) requireFiles(want map[string]string) {
	s.t.Helper()
	entries, err := os.ReadDir(s.dir)
	require.NoError(s.t, err)
	got := map[string]string{}
	for _, e := range entries {
		content, err := os.ReadFile(s.path(e.Name()))
		require.NoError(s.t, err)
		got[e.Name()] = string(content)
	}
	require.Equal(s.t, want, got)
}
