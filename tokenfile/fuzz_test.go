package tokenfile_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/tokenfile"
)

func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"", " ", "\r\n", "a", "a.b", "a.b.", "...", "e30.e30.AA", "\r\ne30.e30.AA\r\n", "e30.e30.AA==", "e30.e30.A\nA", "e30.bnVsbA.AA",
		"\x00\xff\xfe", "e30.e30." + strings.Repeat("A", 19992), "eyB9.e30." + strings.Repeat("A", 19992),
		"e30.e30.AA" + strings.Repeat("\n", 32<<10-10), "e30.e30.AA" + strings.Repeat("\n", 32<<10-9),
		withClaims(kubernetes), withClaims("[]"),
	} {
		f.Add([]byte(text))
	}
	path := filepath.Join(f.TempDir(), "token")
	f.Fuzz(func(t *testing.T, content []byte) {
		synctest.Test(t, func(t *testing.T) { // the retries of Read take no real time here
			rewrite(t, path, string(content))
			got, err := tokenfile.Read(path)
			if len(content) > 32<<10 {
				require.ErrorIs(t, err, tokenfile.ErrMalformed)
				require.Empty(t, got.Reveal())
				return
			}
			trimmed := string(bytes.TrimSpace(content))
			want, wantErr := tokenfile.Parse(trimmed)
			require.Equal(t, want, got)
			if wantErr != nil {
				require.ErrorIs(t, err, tokenfile.ErrMalformed)
				require.ErrorContains(t, err, wantErr.Error())
				require.Empty(t, got.Reveal())
				return
			}
			require.NoError(t, err)
			require.Equal(t, trimmed, got.Reveal())
			require.True(t, 4 <= len(trimmed) && len(trimmed) <= 20000)
		})
	})
}
