package exchange

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/tokenfile"
)

// nilError is an error type whose methods panic on a nil pointer.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

// nilWrapperError is like nilError, but only its Unwrap method panics.
type nilWrapperError struct{ err error }

func (*nilWrapperError) Error() string   { return "wrapper" }
func (e *nilWrapperError) Unwrap() error { return e.err }

func TestCallTokenSourceRecoversNilError(t *testing.T) {
	for _, fault := range []error{(*nilError)(nil), (*nilWrapperError)(nil)} {
		c := config.Config{Token: &config.TokenFunc{Call: func(context.Context) (tokenfile.Token, error) { return tokenfile.Token{}, fault }}}
		_, err := CallTokenSource(t.Context(), &c)
		require.ErrorContains(t, err, "the token source panicked: runtime error: invalid memory address")
		assert.NotPanics(t, func() { _ = TokenError(&c, err).Error() })
	}
}

func TestCallTokenSourceRejectsEmptyToken(t *testing.T) {
	c := config.Config{Token: &config.TokenFunc{Call: func(context.Context) (tokenfile.Token, error) { return tokenfile.Token{}, nil }}}
	_, err := CallTokenSource(t.Context(), &c)
	require.ErrorIs(t, err, tokenfile.ErrMalformed)
	assert.ErrorContains(t, err, "empty")
}
