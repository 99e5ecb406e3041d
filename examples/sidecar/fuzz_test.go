package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// FuzzAuthorization checks that requests without the token from the file are rejected.
func FuzzAuthorization(f *testing.F) {
	token := strings.Repeat("t", minToken)
	f.Add([]byte(token), "127.0.0.1:8080", token, "GET", path)
	f.Add([]byte(token+"\r\n"), "localhost", token, "GET", path+"/../x")
	f.Add([]byte(token), "127.0.0.1:8080", token+"\n", "GET", path)
	f.Add([]byte("short"), "127.0.0.1:8080", "short", "GET", path)
	f.Add([]byte(""), "127.0.0.1:8080", "", "POST", "")
	f.Add([]byte(strings.Repeat("l", maxToken+1)), "evil.example", strings.Repeat("l", maxToken+1), "GET", path)
	e := &endpoint{authorization: authorization{filepath.Join(f.TempDir(), "token")}, hosts: []string{"127.0.0.1:8080"}, rejections: newRejections()}
	f.Fuzz(func(t *testing.T, content []byte, host, got, method, urlPath string) {
		require.NoError(t, os.WriteFile(e.authorization.file, content, 0o600))
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.Host, request.Method, request.URL.Path = host, method, urlPath
		request.Header["Authorization"] = []string{got}
		token := strings.TrimRight(string(content), "\r\n")
		sendable := strings.TrimSpace(token) == token && !strings.ContainsFunc(token, unicode.IsControl)
		authorized := sendable && host == e.hosts[0] && got == token && minToken <= len(token) && len(token) <= maxToken && len(content) <= maxFile
		if authorized && method == http.MethodGet && urlPath == path {
			return // the endpoint has no Provider here
		}
		answer := httptest.NewRecorder()
		e.ServeHTTP(answer, request)
		require.GreaterOrEqual(t, answer.Code, http.StatusBadRequest)
		require.Equal(t, authorized, answer.Code == http.StatusNotFound || answer.Code == http.StatusMethodNotAllowed)
		require.Equal(t, "no-store", answer.Header().Get("Cache-Control"))
	})
}
