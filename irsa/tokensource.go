package irsa

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"

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
	return &tokenFunc{identity, token}
}

// checkTokenSource returns an error if the source is nil or has no function.
func checkTokenSource(source TokenSource) error {
	if isNil(source) {
		return fmt.Errorf("the token source is a nil %T", source)
	}
	if f, ok := source.(*tokenFunc); ok && f.token == nil {
		return errors.New("the token source has no function")
	}
	return nil
}

// isNil reports whether value contains a nil pointer, function, map, slice or channel.
func isNil(value any) bool {
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan:
		return v.IsNil()
	default:
		return false
	}
}

type tokenFunc struct {
	identity string
	token    func(context.Context) (tokenfile.Token, error)
}

func (f *tokenFunc) Token(ctx context.Context) (tokenfile.Token, error) { return f.token(ctx) }
func (f *tokenFunc) Identity() string                                   { return f.identity }

// fileSource is the TokenSource of a file. As long as the token does not change, it returns
// the same value, so that many roles share its memory.
type fileSource struct {
	path   string
	newest atomic.Pointer[tokenfile.Token]
}

func (f *fileSource) Token(context.Context) (tokenfile.Token, error) {
	var newest tokenfile.Token
	if last := f.newest.Load(); last != nil {
		newest = *last
	}
	token, err := tokenfile.Reread(f.path, newest)
	if err == nil && token != newest {
		f.newest.Store(&token)
	}
	return token, err
}

func (f *fileSource) Identity() string { return f.path }
