package tokenfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/tokenfile"
)

// write creates a file that contains text and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	rewrite(t, path, text)
	return path
}

// rewrite truncates the file at path and writes text to it.
func rewrite(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestReadReturnsTokenInFile(t *testing.T) {
	raw := withClaims(kubernetes)
	longest := sized(t, 20000)
	for _, tt := range []struct{ name, text, want string }{
		{"as the kubelet writes it", raw, raw},
		{"with a line feed", raw + "\n", raw},
		{"with CR LF around it", "\r\n" + raw + "\r\n", raw},
		{"the shortest", "e30.e30.AA", "e30.e30.AA"},
		{"the longest", longest, longest},
		{"the longest, with as much white space as can be read", longest + strings.Repeat("\n", 32<<10-len(longest)), longest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token, err := tokenfile.Read(write(t, tt.text))
			require.NoError(t, err)
			assert.Equal(t, tt.want, token.Reveal())
		})
	}
}

func TestReadRejectsMalformedToken(t *testing.T) {
	raw := withClaims(kubernetes)
	header, rest, _ := strings.Cut(raw, ".")
	claims, signature, _ := strings.Cut(rest, ".")
	for _, tt := range []struct{ name, text, want string }{
		{"an empty file", "", "it is empty"},
		{"white space only", " \r\n\t\n", "it is empty"},
		{"three bytes", "a.b", "it is shorter than 4 bytes"},
		{"four bytes", "a.b.", "its header part is not base64url"},
		{"20,001 bytes", sized(t, 20001), "it has 20001 bytes; STS accepts 4 to 20000"},
		{"32 KiB", sized(t, 32<<10), "it has 32768 bytes"},
		{"more than 32 KiB", sized(t, 32<<10+1), "more than 32768 bytes; STS accepts 4 to 20000"},
		{"1 MiB", strings.Repeat(raw, 1<<20/len(raw)+1)[:1<<20], "more than 32768 bytes"},
		{"a token with too much white space to be read", raw + strings.Repeat(" ", 32<<10), "more than 32768 bytes"},
		{"zero bytes of the value 0", strings.Repeat("\x00", 1000), "the three parts of a signed JWT"},
		{"binary", "\x7fELF\x02\x01\x01\x00.\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7.\x80\x81\x82", "its header part is not base64url"},
		{"a token with a byte order mark", "\ufeff" + raw, "it begins with a byte order mark"},
		{"CR LF inside the claims", header + "." + claims[:20] + "\r\n" + claims[20:] + "." + signature, "its claims part is not base64url"},
		{"CR LF inside the signature", raw[:len(raw)-8] + "\r\n" + raw[len(raw)-8:], "its signature part is not base64url"},
		{"two tokens, one a line", raw + "\n" + raw, "the three parts of a signed JWT"},
		{"two parts", header + "." + claims, "the three parts of a signed JWT"},
		{"no signature", header + "." + claims + ".", "its signature part is empty"},
		{"claims that are not base64", header + ".*" + claims + "." + signature, "its claims part is not base64url"},
		{"padding", header + "." + encode(`{"sub":1}`) + ".QUFBQUFBQQ==", "its signature part is not base64url"},
		{"claims that are not JSON", header + "." + encode("the claims, in words") + "." + signature, "its claims part is not a JSON object"},
		{"claims that are null", header + "." + encode("null") + "." + signature, "its claims part is not a JSON object"},
		{"claims that are an array", header + "." + encode(`["sub","aud"]`) + "." + signature, "its claims part is not a JSON object"},
		{"header is not JSON", encode("the header") + "." + claims + "." + signature, "its header part is not a JSON object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := write(t, tt.text)
				token, err := tokenfile.Read(path)
				require.ErrorIs(t, err, tokenfile.ErrMalformed)
				require.ErrorContains(t, err, tt.want)
				require.ErrorContains(t, err, path)
				requireSilent(t, err, strings.ReplaceAll(tt.text, "\x00", ""))
				assert.Empty(t, token.Reveal())

				if token, err = tokenfile.Parse(tt.text); strings.Contains(tt.want, "32768") {
					return // Parse does not limit surrounding white space
				}
				require.ErrorIs(t, err, tokenfile.ErrMalformed)
				require.ErrorContains(t, err, tt.want)
				requireSilent(t, err, tt.text)
				assert.Empty(t, token.Reveal())
			})
		})
	}
}

func TestReadReturnsErrNotExistAfterRetries(t *testing.T) {
	dir := t.TempDir()
	dangling := filepath.Join(dir, "dangling")
	require.NoError(t, os.Symlink(filepath.Join(dir, "gone"), dangling))
	for _, tt := range []struct{ name, path string }{
		{"no path", ""},
		{"no file", filepath.Join(dir, "token")},
		{"no directory", filepath.Join(dir, "serviceaccount", "token")},
		{"a link to nowhere", dangling},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				token, err := tokenfile.Read(tt.path)
				require.ErrorIs(t, err, fs.ErrNotExist)
				require.NotErrorIs(t, err, tokenfile.ErrMalformed)
				require.ErrorContains(t, err, tt.path)
				assert.Empty(t, token.Reveal())
				assert.Equal(t, 30*time.Millisecond, time.Since(start))
			})
		})
	}
}

func TestReadRejectsDirectoryWithoutRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		dir := t.TempDir()
		_, err := tokenfile.Read(dir)
		require.EqualError(t, err, "tokenfile: "+dir+" is a directory, not a regular file")
		require.NotErrorIs(t, err, tokenfile.ErrMalformed)
		assert.Zero(t, time.Since(start))
	})
}

func TestReadRetriesWhileFileIsRewritten(t *testing.T) {
	raw := withClaims(kubernetes)
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, path string) // creates the state that Read finds first
	}{
		{"that has truncated the file", func(t *testing.T, path string) { rewrite(t, path, "") }},
		{"that has written half of it", func(t *testing.T, path string) { rewrite(t, path, raw[:len(raw)/2]) }},
		{"that has removed it", func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }},
	} {
		for _, soon := range []struct {
			done, read time.Duration
			ok         bool
		}{
			{5 * time.Millisecond, 10 * time.Millisecond, true},
			{15 * time.Millisecond, 20 * time.Millisecond, true},
			{25 * time.Millisecond, 30 * time.Millisecond, true},
			{35 * time.Millisecond, 30 * time.Millisecond, false},
		} {
			t.Run(tt.name+", done after "+soon.done.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					path := write(t, raw)
					tt.prepare(t, path)
					time.AfterFunc(soon.done, func() { rewrite(t, path, raw) })
					start := time.Now()
					token, err := tokenfile.Read(path)
					assert.Equal(t, soon.read, time.Since(start))
					assert.Equal(t, soon.ok, err == nil, "%v", err)
					if soon.ok {
						assert.Equal(t, raw, token.Reveal())
					}
					time.Sleep(time.Second) // until the writer is done
				})
			})
		}
	}
}

func TestRereadReturnsPreviousTokenIfUnchanged(t *testing.T) {
	path := write(t, tokenFor("s"))
	first, err := tokenfile.Read(path)
	require.NoError(t, err)
	again, err := tokenfile.Reread(path, first)
	require.NoError(t, err)
	same := first == again
	assert.True(t, same, "the same value")
	fresh, err := tokenfile.Read(path)
	require.NoError(t, err)
	same = first == fresh
	assert.False(t, same)
	assert.Equal(t, first.Reveal(), fresh.Reveal())

	require.NoError(t, os.WriteFile(path, []byte("\n"+tokenFor("other")+"\n"), 0o600))
	other, err := tokenfile.Reread(path, first)
	require.NoError(t, err)
	assert.Equal(t, tokenFor("other"), other.Reveal())
	require.NoError(t, os.Remove(path))
	_, err = tokenfile.Reread(path, first)
	require.ErrorIs(t, err, fs.ErrNotExist, "the previous token is not returned")
}

func TestReadBoundsMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, os.Truncate(path, 1<<30)) // a sparse file, which takes no disk space
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := tokenfile.Read(path)
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, tokenfile.ErrMalformed)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}
