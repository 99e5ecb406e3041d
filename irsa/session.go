package irsa

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/irsakit/irsakit/tokenfile"
)

const (
	maxSessionName = 64
	hashLength     = 8
)

// inSessionName are the characters that one may have, besides letters and digits of ASCII.
const inSessionName = "_+=,.@-"

func sessionCharacter(r rune) rune {
	if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.ContainsRune(inSessionName, r) {
		return r
	}
	return '-'
}

// sessionNameOf returns a valid session name that tells whose session it is, always
// the same for the same claims: namespace, service account and pod, or the subject
// where the token is not from Kubernetes.
func sessionNameOf(claims tokenfile.Claims) string {
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
	name := strings.Map(sessionCharacter, full)
	if len(name) >= 2 && len(name) <= maxSessionName {
		return name
	}
	if len(name) < 2 {
		return "irsakit" + name
	}
	// The end is kept, since there is what tells the pods of a deployment apart.
	sum := sha256.Sum256([]byte(full))
	hash := hex.EncodeToString(sum[:])[:hashLength]
	return hash + "-" + name[len(name)-(maxSessionName-hashLength-1):]
}
