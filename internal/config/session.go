package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/irsakit/irsakit/tokenfile"
)

// hashLength is the length of the hash in a shortened session name.
const hashLength = 8

// sessionNameSymbols contains the characters allowed in a session name in addition to ASCII
// letters and digits.
const sessionNameSymbols = "_+=,.@-"

// SessionName returns a valid session name that identifies the pod. It is built from the namespace,
// service account and pod, or from the subject if the token is not from Kubernetes. The same claims
// always yield the same name.
func SessionName(claims tokenfile.Claims) string {
	parts := slices.DeleteFunc([]string{claims.Namespace, claims.ServiceAccount, claims.Pod}, func(part string) bool { return part == "" })
	full := cmp.Or(strings.Join(parts, "."), claims.Subject)
	name := strings.Map(func(r rune) rune {
		if isOneOf(r, sessionNameSymbols) {
			return r
		}
		return '-'
	}, full)
	switch {
	case len(name) < 2:
		return "irsakit" + name
	case len(name) <= MaxSessionName:
		return name
	}
	// Keep the end, because it distinguishes the pods of a deployment.
	sum := sha256.Sum256([]byte(full))
	hash := hex.EncodeToString(sum[:])[:hashLength]
	return hash + "-" + name[len(name)-(MaxSessionName-hashLength-1):]
}
