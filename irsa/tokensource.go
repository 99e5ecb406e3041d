package irsa

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/irsakit/irsakit/tokenfile"
)

// TokenSource gives web identity tokens: see [TokenFunc]. Its methods are called by
// several goroutines at a time, where several roles have the same source.
type TokenSource interface {
	// Token returns a token that is good now. It is called for every exchange, and
	// must return when ctx ends.
	Token(ctx context.Context) (tokenfile.Token, error)

	// Identity names whose tokens they are, such as a service account of a cluster. It
	// never changes. A Pool takes two sources of the same identity for the same.
	Identity() string
}

// TokenFunc makes a TokenSource of a function, such as one that asks the Kubernetes
// TokenRequest API for the token of another service account. See [TokenSource] for what
// is asked of both; a token that the function keeps must not be kept for longer than it
// is good.
func TokenFunc(identity string, token func(context.Context) (tokenfile.Token, error)) TokenSource {
	return &tokenFunc{identity, token}
}

// checkTokenSource returns an error for a source that cannot be asked.
func checkTokenSource(source TokenSource) error {
	if isNil(source) {
		return fmt.Errorf("the token source is a nil %T", source)
	}
	if f, ok := source.(*tokenFunc); ok && f.token == nil {
		return errors.New("the token source has no function")
	}
	return nil
}

// isNil reports whether value is an interface that holds a nil pointer, or the like.
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

// fileSource is the TokenSource of a path. Of equal tokens it gives the same one, so that
// many roles hold it once.
type fileSource struct {
	path   string
	newest atomic.Pointer[tokenfile.Token]
}

func (f *fileSource) Token(context.Context) (tokenfile.Token, error) {
	var newest tokenfile.Token
	if known := f.newest.Load(); known != nil {
		newest = *known
	}
	token, err := tokenfile.Reread(f.path, newest)
	if err == nil && token != newest {
		f.newest.Store(&token)
	}
	return token, err
}

func (f *fileSource) Identity() string { return f.path }
