package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzAuthorization: whoever does not bring the token that is in the file gets nothing.
func FuzzAuthorization(f *testing.F) {
	token := strings.Repeat("t", shortest)
	f.Add([]byte(token), "127.0.0.1:8080", token, "GET", path)
	f.Add([]byte(token+"\r\n"), "localhost", token, "GET", path+"/../x")
	f.Add([]byte(token), "127.0.0.1:8080", token+"\n", "GET", path)
	f.Add([]byte("short"), "127.0.0.1:8080", "short", "GET", path)
	f.Add([]byte(""), "127.0.0.1:8080", "", "POST", "")
	f.Add([]byte(strings.Repeat("l", longest+1)), "evil.example", strings.Repeat("l", longest+1), "GET", path)
	e := &endpoint{authorization: authorization{filepath.Join(f.TempDir(), "token")}, hosts: []string{"127.0.0.1:8080"}}
	f.Fuzz(func(t *testing.T, content []byte, host, brought, method, asked string) {
		require.NoError(t, os.WriteFile(e.authorization.file, content, 0o600))
		request := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8080/", nil)
		request.Host, request.Method, request.URL.Path = host, method, asked
		request.Header["Authorization"] = []string{brought}
		token := strings.TrimRight(string(content), "\r\n")
		good := host == e.hosts[0] && brought == token && shortest <= len(token) && len(token) <= longest && len(content) <= maxFile
		if good && method == http.MethodGet && asked == path {
			return // whose credentials are a Provider's
		}
		answer := httptest.NewRecorder()
		e.ServeHTTP(answer, request)
		require.GreaterOrEqual(t, answer.Code, http.StatusBadRequest)
		require.Equal(t, good, answer.Code == http.StatusNotFound || answer.Code == http.StatusMethodNotAllowed)
		require.Equal(t, "no-store", answer.Header().Get("Cache-Control"))
	})
}
