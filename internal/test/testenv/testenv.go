// Package testenv keeps the settings of the machine from affecting tests.
package testenv

import (
	"os"
	"strings"
)

// Clear unsets the environment variables that configure AWS programs, proxies and certificates. Call it
// at the beginning of TestMain, because net/http and crypto/x509 read some of them only once.
func Clear() {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "SSL_CERT_") || strings.HasSuffix(strings.ToUpper(name), "_PROXY") {
			_ = os.Unsetenv(name)
		}
	}
}
