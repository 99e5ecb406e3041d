package config

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/irsakit/irsakit/tokenfile"
)

// hashLength is the length of the hash in a shortened session name.
const hashLength = 8

// sessionNameSymbols contains the characters allowed in a session name in addition to ASCII
// letters and digits.
const sessionNameSymbols = "_+=,.@-"

// isInSessionName reports whether a session name may contain r.
func isInSessionName(r rune) bool {
	return isAlphanumeric(r) || strings.ContainsRune(sessionNameSymbols, r)
}

// SessionName returns a valid session name that identifies the pod. It is built from the namespace,
// service account and pod, or from the subject if the token is not from Kubernetes. The same claims
// always yield the same name.
func SessionName(claims tokenfile.Claims) string {
	var parts []string
	for _, part := range []string{claims.Namespace, claims.ServiceAccount, claims.Pod} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	full := strings.Join(parts, ".")
	if full == "" {
		full = claims.Subject
	}
	name := strings.Map(func(r rune) rune {
		if isInSessionName(r) {
			return r
		}
		return '-'
	}, full)
	if len(name) >= 2 && len(name) <= MaxSessionName {
		return name
	}
	if len(name) < 2 {
		return "irsakit" + name
	}
	// Keep the end, which distinguishes the pods of a deployment.
	sum := sha256.Sum256([]byte(full))
	hash := hex.EncodeToString(sum[:])[:hashLength]
	return hash + "-" + name[len(name)-(MaxSessionName-hashLength-1):]
}
