package irsa

import (
	"context"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/tokenfile"
)

// TokenSource provides web identity tokens. [TokenFunc] returns one for a function. If
// several roles share a source, its methods must be safe for concurrent use.
type TokenSource interface {
	// Token returns a token that is currently valid. It is called for every exchange, and
	// must return when ctx is done.
	Token(ctx context.Context) (tokenfile.Token, error)

	// Identity identifies the subject of the tokens, such as a service account of a
	// cluster. It must never change. A Pool considers two sources with the same identity
	// equal.
	Identity() string
}

// TokenFunc returns a TokenSource that calls token, such as a function that obtains the token
// of another service account from the Kubernetes TokenRequest API. The function and the
// identity must meet the requirements of [TokenSource]. A function that caches a token must
// not return it after its expiry.
func TokenFunc(identity string, token func(context.Context) (tokenfile.Token, error)) TokenSource {
	return &config.TokenFunc{Name: identity, Call: token}
}
