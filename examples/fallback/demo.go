package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// demo prints the credential source in each kind of environment.
func demo(ctx context.Context, out io.Writer) error {
	kit, err := irsatest.Start()
	if err != nil {
		return err
	}
	defer kit.Close()
	sa := kit.ServiceAccount("shop", "cart")
	pod := kit.Pod(sa, kit.Role("cart", irsatest.Trust(sa)))
	agent := httptest.NewServer(http.HandlerFunc(serveAgent))
	defer agent.Close()
	dir, err := os.MkdirTemp("", "irsakit-fallback-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("pod-identity-token"), 0o600); err != nil {
		return err
	}
	for _, c := range []struct {
		name      string
		variables []string
	}{
		{"IRSA injected", pod.Environ()},
		{"Pod Identity", []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + agent.URL, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=" + token, "AWS_REGION=us-west-2"}},
		{"laptop", []string{"AWS_ACCESS_KEY_ID=AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY=example", "AWS_REGION=us-west-2"}},
		{"IRSA half injected", []string{"AWS_ROLE_ARN=" + pod.RoleARN(), "AWS_REGION=us-west-2"}},
	} {
		if err := show(ctx, out, c.name, c.variables); err != nil {
			return err
		}
	}
	return nil
}

// show prints the credential source, or the error, in an environment with the given variables.
func show(ctx context.Context, out io.Writer, name string, variables []string) error {
	for _, variable := range os.Environ() {
		if key, _, _ := strings.Cut(variable, "="); strings.HasPrefix(key, "AWS_") {
			if err := os.Unsetenv(key); err != nil {
				return err
			}
		}
	}
	for _, variable := range variables {
		key, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(key, value); err != nil {
			return err
		}
	}
	cfg, credentials, err := loadConfig(ctx)
	if err != nil {
		fmt.Fprintf(out, "%-20s error: %v\n", name, err)
		return nil
	}
	defer credentials.Close() //nolint:errcheck // the source is idle
	creds, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%-20s %s\n", name, creds.Source)
	return nil
}

// serveAgent responds like the EKS Pod Identity agent.
func serveAgent(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "pod-identity-token" {
		http.Error(w, `{"code":"AccessDenied","message":"wrong token"}`, http.StatusForbidden)
		return
	}
	fmt.Fprintf(w, `{"AccessKeyId":"ASIAPODIDENTITY","SecretAccessKey":"example","Token":"example","AccountId":"111122223333","Expiration":%q}`,
		time.Now().Add(6*time.Hour).UTC().Format(time.RFC3339))
}
