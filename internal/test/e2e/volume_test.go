package e2e

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fsnotify/fsnotify"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// A writer swaps tokens into a directory. It is the kubelet's AtomicWriter or that of the kit.
type writer struct {
	dir   string
	write func(token string) error
}

// writers returns both writers. The volume of each contains a token.
func writers(t *testing.T) map[string]writer {
	t.Helper()
	k, err := irsatest.Start() // panics if a write fails, instead of failing the test
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, k.Close()) })
	sa := k.ServiceAccount("shop", "cart")
	kit := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	dir := volumeDir(newPod(t).Pod)
	return map[string]writer{
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
}

// The kit and Kubernetes write a volume in the same order.
func TestWriterOrder(t *testing.T) {
	seen, first := map[string][]string{}, map[string][]string{}
	for name, w := range writers(t) {
		watch := newWatch(t, w.dir)
		require.NoError(t, w.write("the.second.token"))
		seen[name] = watch.events(t)
		require.NoError(t, w.write("the.second.token"))
		assert.Empty(t, watch.events(t), "%s: the same payload writes nothing", name)
		require.NoError(t, w.write("the.third.token"))
		assert.Equal(t, seen[name], watch.events(t), "%s: each swap is like the one before", name)

		entries, err := os.ReadDir(w.dir) // the first write is to an empty directory
		require.NoError(t, err)
		for _, entry := range entries {
			require.NoError(t, os.RemoveAll(filepath.Join(w.dir, entry.Name())))
		}
		watch.events(t)
		require.NoError(t, w.write("the.first.token"))
		first[name] = watch.events(t)
	}
	assert.Equal(t, seen["real"], seen["kit"])
	assert.Equal(t, []string{
		"CREATE ..TIME", "CHMOD ..TIME", // mkdir 0700, chmod 0755
		"CREATE ..data_tmp", "RENAME ..data_tmp", "CREATE ..data",
		"REMOVE ..OLD/token", "REMOVE ..OLD",
	}, seen["real"], "Kubernetes has changed the order")
	assert.Equal(t, first["real"], first["kit"])
	assert.Equal(t, []string{
		"CREATE ..TIME", "CHMOD ..TIME", "CREATE ..data_tmp", "RENAME ..data_tmp", "CREATE ..data", "CREATE token",
	}, first["real"], "Kubernetes has changed the order")
}

// A token that cannot be written completely is never swapped in, because it is written before the swap.
func TestWriterDoesNotSwapInPartialToken(t *testing.T) {
	seen := map[string][]string{}
	for name, w := range writers(t) {
		before, err := os.Readlink(filepath.Join(w.dir, "..data"))
		require.NoError(t, err)
		var usual unix.Rlimit
		require.NoError(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &usual))
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 3, Max: usual.Max})) // bytes
		err = w.write("the.second.token")
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &usual))
		require.ErrorContains(t, err, unix.EFBIG.Error(), name)
		after, err := os.Readlink(filepath.Join(w.dir, "..data"))
		require.NoError(t, err)
		assert.Equal(t, before, after, name)
		seen[name] = w.layout(t)
	}
	t.Log(strings.Join(seen["real"], "\n"))
	assert.Equal(t, seen["real"], seen["kit"])
	// The volume, the directory with the timestamp, the token in it, and two links; in addition, another
	// directory with a timestamp and the partial token.
	assert.Len(t, seen["real"], 7)
}

// layout lists the contents of the directory, without the timestamps in names.
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

// A watch records the order of events in a volume and in the directory that contains the token before a swap.
type watch struct {
	*fsnotify.Watcher
	dir, marks string
	old        string // the directory that contains the token; the next swap replaces it
}

func newWatch(t *testing.T, dir string) *watch {
	t.Helper()
	watcher, err := fsnotify.NewWatcher()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, watcher.Close()) })
	w := &watch{Watcher: watcher, dir: dir, marks: t.TempDir()}
	require.NoError(t, errors.Join(w.Add(dir), w.Add(w.marks)))
	w.addOld(t)
	return w
}

// addOld watches the directory to which ..data points, if there is one.
func (w *watch) addOld(t *testing.T) {
	t.Helper()
	if name, err := os.Readlink(filepath.Join(w.dir, "..data")); err == nil && name != w.old {
		w.old = name
		require.NoError(t, w.Add(filepath.Join(w.dir, name)))
	}
}

// events returns the events since the last call, without the timestamps in names. A new directory in
// marks follows them.
func (w *watch) events(t *testing.T) (all []string) {
	t.Helper()
	require.NoError(t, os.Mkdir(filepath.Join(w.marks, rand.Text()), 0o700))
	for event := range w.Events {
		if filepath.Dir(event.Name) == w.marks {
			break
		}
		name, err := filepath.Rel(w.dir, event.Name)
		require.NoError(t, err)
		if w.old != "" {
			name = strings.Replace(name, w.old, "..OLD", 1)
		}
		all = append(all, event.Op.String()+" "+anonymous(name))
	}
	w.addOld(t)
	return all
}
