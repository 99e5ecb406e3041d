package config

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/tokenfile"
)

// The roles of a Pool read a new token at the same time. It must be in memory only once.
func TestFileSourceSharesToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	f := &fileSource{path: path}
	for _, text := range []string{"e30.e30.c2ln", "e30.eyJpc3MiOiJhIn0.c2ln"} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		var tokens [8]tokenfile.Token
		var calls sync.WaitGroup
		for i := range tokens {
			calls.Go(func() {
				var err error
				tokens[i], err = f.Token(t.Context())
				assert.NoError(t, err)
			})
		}
		calls.Wait()
		for _, token := range tokens {
			assert.Equal(t, text, token.Reveal())
			same := token == tokens[0]
			assert.True(t, same, "the very same")
		}
	}
}
