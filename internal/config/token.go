package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/tokenfile"
)

// TokenSource provides web identity tokens. See package irsa for its contract.
type TokenSource interface {
	Token(ctx context.Context) (tokenfile.Token, error)
	Identity() string
}

// TokenFunc is a TokenSource that calls a function.
type TokenFunc struct {
	Name string // the identity
	Call func(context.Context) (tokenfile.Token, error)
}

// Token calls the function.
func (f *TokenFunc) Token(ctx context.Context) (tokenfile.Token, error) { return f.Call(ctx) }

// Identity returns the name.
func (f *TokenFunc) Identity() string { return f.Name }

// fileSource is the TokenSource that reads a file. It returns the same value until the token changes,
// so that many roles share its memory.
type fileSource struct {
	path   string
	newest atomic.Pointer[tokenfile.Token] // nil before the first token
}

func (f *fileSource) Token(context.Context) (tokenfile.Token, error) {
	var newest tokenfile.Token
	last := f.newest.Load()
	if last != nil {
		newest = *last
	}
	token, err := tokenfile.Reread(f.path, newest)
	if err != nil || token == newest {
		return token, err
	}
	if !f.newest.CompareAndSwap(last, &token) { // a concurrent call may have read the same token
		if other := f.newest.Load(); other.Reveal() == token.Reveal() {
			return *other, nil
		}
	}
	return token, nil
}

func (f *fileSource) Identity() string { return f.path }

// resolveToken sets the token source. file is the default token file.
func (c *Config) resolveToken(file string) error {
	if c.Token != nil {
		source := c.Token
		c.Token = nil
		if c.TokenFile != "" {
			return errors.New("both Options.Token and Options.TokenFile are set: choose one")
		}
		if err := CheckTokenSource(source); err != nil {
			return err
		}
		c.Token = source
		return nil
	}
	c.TokenFile = cmp.Or(explain.HideToken(c.TokenFile), file)
	switch {
	case c.TokenFile == "":
		return nil // notInjected reports this
	case len(c.TokenFile) > MaxIdentity:
		return fmt.Errorf("the path of the token file has %d bytes; the maximum is %d", len(c.TokenFile), MaxIdentity)
	case !IsAbsolute(c.TokenFile):
		return fmt.Errorf("the token file %s is not an absolute path", explain.Quote(c.TokenFile))
	}
	c.Token = &fileSource{path: c.TokenFile}
	return nil
}

// CheckTokenSource returns an error if the source is nil or has no function.
func CheckTokenSource(source TokenSource) error {
	if isNil(source) {
		return fmt.Errorf("the token source is a nil %T", source)
	}
	if f, ok := source.(*TokenFunc); ok && f.Call == nil {
		return errors.New("the token source has no function")
	}
	return nil
}

// isNil reports whether value holds a nil pointer, function, map, slice or channel.
func isNil(value any) bool {
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan:
		return v.IsNil()
	default:
		return false
	}
}

// SourceKey identifies a token source by its Identity or by the path of its token file.
type SourceKey struct {
	Identity string
	file     bool
}

// SourceKeyOf returns the key of a token source. It calls the source's Identity method.
func SourceKeyOf(source TokenSource) SourceKey {
	if source == nil {
		return SourceKey{}
	}
	_, file := source.(*fileSource)
	return SourceKey{source.Identity(), file}
}

// validate checks the identity of a token source.
func (k SourceKey) validate(source TokenSource) error {
	switch {
	case source == nil:
		return nil
	case k.Identity == "":
		return errors.New("the token source has no identity; a Pool needs one to distinguish token sources")
	case len(k.Identity) > MaxIdentity:
		return fmt.Errorf("the identity of the token source has %d bytes; the maximum is %d", len(k.Identity), MaxIdentity)
	default:
		return nil
	}
}
