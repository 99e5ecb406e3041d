package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// A writer swaps tokens into a folder. It is the kubelet's AtomicWriter or that of the kit.
type writer struct {
	dir string
	try func(token string) error
}

func (w writer) write(t *testing.T, token string) {
	t.Helper()
	require.NoError(t, w.try(token))
}

// writers returns both writers. The volume of each contains a token of the kit.
func writers(t *testing.T) map[string]writer {
	t.Helper()
	k, err := irsatest.Start() // panics if a write fails, instead of failing the test
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, k.Close()) })
	sa := k.ServiceAccount("shop", "cart")
	kit := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	dir := filepath.Join(t.TempDir(), "volume")
	all := map[string]writer{
		"real": {dir, func(token string) error { return writeToken(dir, token) }},
		"kit": {filepath.Dir(kit.TokenFile()), func(token string) (err error) {
			defer func() {
				if r := recover(); r != nil {
					err = fmt.Errorf("%v", r)
				}
			}()
			kit.Write([]byte(token))
			return nil
		}},
	}
	all["real"].write(t, kit.Token())
	return all
}

// The kit and Kubernetes write a volume in the same order.
func TestWriterOrder(t *testing.T) {
	seen, first := map[string][]string{}, map[string][]string{}
	for name, w := range writers(t) {
		watch := newWatch(t, w.dir)
		w.write(t, "the.second.token")
		seen[name] = watch.events(t)
		w.write(t, "the.second.token")
		assert.Empty(t, watch.events(t), "%s: the same payload writes nothing", name)
		w.write(t, "the.third.token")
		assert.Equal(t, seen[name], watch.events(t), "%s: each swap is like the one before", name)

		entries, err := os.ReadDir(w.dir) // the first write is to an empty folder
		require.NoError(t, err)
		for _, entry := range entries {
			require.NoError(t, os.RemoveAll(filepath.Join(w.dir, entry.Name())))
		}
		watch.events(t)
		w.write(t, "the.first.token")
		first[name] = watch.events(t)
	}
	assert.Equal(t, seen["real"], seen["kit"])
	assert.Equal(t, []string{
		"create ..TIME", "attrib ..TIME", // mkdir 0700, chmod 0755
		"create ..data_tmp", "move from ..data_tmp", "move to ..data",
		"delete ..OLD/token", "delete ..OLD",
	}, seen["real"], "Kubernetes has changed the order")
	assert.Equal(t, first["real"], first["kit"])
	assert.Equal(t, []string{
		"create ..TIME", "attrib ..TIME", "create ..data_tmp", "move from ..data_tmp", "move to ..data", "create token",
	}, first["real"], "Kubernetes has changed the order")
}

func TestWriterLayout(t *testing.T) {
	seen := map[string][]string{}
	for name, w := range writers(t) {
		w.write(t, "the.second.token")
		seen[name] = w.layout(t)
	}
	t.Log(strings.Join(seen["real"], "\n"))
	assert.Equal(t, seen["real"], seen["kit"])
	assert.Len(t, seen["real"], 5) // the volume, the folder with the timestamp, the token in it, and two links
}

// A token that cannot be written completely is never swapped in, because it is written before
// the swap.
func TestWriterDoesNotSwapInPartialToken(t *testing.T) {
	seen := map[string][]string{}
	for name, w := range writers(t) {
		before, err := os.Readlink(filepath.Join(w.dir, "..data"))
		require.NoError(t, err)
		withFilesOf(t, 3, func() { err = w.try("the.second.token") })
		require.ErrorContains(t, err, unix.EFBIG.Error(), name)
		after, err := os.Readlink(filepath.Join(w.dir, "..data"))
		require.NoError(t, err)
		assert.Equal(t, before, after, name)
		seen[name] = w.layout(t)
	}
	assert.Equal(t, seen["real"], seen["kit"])
	assert.Len(t, seen["real"], 7) // additionally, another folder with a timestamp and the partial token
}

// withFilesOf calls do while this process cannot write files larger than bytes.
func withFilesOf(t *testing.T, bytes uint64, do func()) {
	t.Helper()
	var usual unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &usual))
	limited := usual
	limited.Cur = bytes
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &limited))
	defer func() { require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &usual)) }()
	do()
}

// layout lists the contents of the folder, without the timestamps in names.
func (w writer) layout(t *testing.T) []string {
	t.Helper()
	var all []string
	require.NoError(t, filepath.WalkDir(w.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		target, _ := os.Readlink(path) // "" if path is not a link
		all = append(all, fmt.Sprintf("%s %s %s", info.Mode(), anonymous(strings.TrimPrefix(path, w.dir)), anonymous(target)))
		return err
	}))
	return all
}

var timestamp = regexp.MustCompile(`\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.\d+`)

func anonymous(path string) string { return timestamp.ReplaceAllString(path, "..TIME") }
