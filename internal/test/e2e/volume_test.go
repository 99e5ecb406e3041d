package e2e

import (
	"encoding/binary"
	"errors"
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

// A watch records the order of events in a volume and in the folder that contains the token
// before a swap (inotify(7)).
type watch struct {
	dir   string
	queue int
	names map[int32]string // the watched folders
}

func newWatch(t *testing.T, dir string) *watch {
	t.Helper()
	queue, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(queue) })
	w := &watch{dir: dir, queue: queue, names: map[int32]string{}}
	w.add(t, dir, "")
	w.addCurrent(t)
	return w
}

func (w *watch) add(t *testing.T, dir, name string) {
	t.Helper()
	const mask = unix.IN_CREATE | unix.IN_ATTRIB | unix.IN_MODIFY | unix.IN_MOVE | unix.IN_DELETE | unix.IN_ONLYDIR
	id, err := unix.InotifyAddWatch(w.queue, dir, mask)
	require.NoError(t, err)
	w.names[int32(id)] = name
}

// addCurrent watches the folder to which ..data points, if there is one. The next swap replaces
// this folder.
func (w *watch) addCurrent(t *testing.T) {
	t.Helper()
	current, err := filepath.EvalSymlinks(filepath.Join(w.dir, "..data"))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	require.NoError(t, err)
	w.add(t, current, "..OLD")
}

// events returns the events since the last call, without the timestamps in names.
func (w *watch) events(t *testing.T) []string {
	t.Helper()
	buffer := make([]byte, 64<<10)
	n, err := unix.Read(w.queue, buffer)
	if err == unix.EAGAIN {
		return nil
	}
	require.NoError(t, err)
	var out []string
	fresh := ""
	for rest := buffer[:n]; len(rest) > 0; {
		id, mask := int32(binary.NativeEndian.Uint32(rest)), binary.NativeEndian.Uint32(rest[4:])
		size := int(binary.NativeEndian.Uint32(rest[12:]))
		name := strings.TrimRight(string(rest[unix.SizeofInotifyEvent:unix.SizeofInotifyEvent+size]), "\x00")
		rest = rest[unix.SizeofInotifyEvent+size:]
		if mask&unix.IN_CREATE != 0 && timestamp.MatchString(name) {
			fresh = name
		}
		if text := happened(mask); text != "" && name != "" {
			out = append(out, text+" "+filepath.Join(w.names[id], w.anonymous(name, fresh)))
		}
	}
	w.addCurrent(t)
	return out
}

// anonymous replaces the names of the new and the old folder of a swap by placeholders.
func (w *watch) anonymous(name, fresh string) string {
	switch {
	case !timestamp.MatchString(name):
		return name
	case name == fresh:
		return "..TIME"
	default:
		return "..OLD"
	}
}

func happened(mask uint32) string {
	for bit, text := range map[uint32]string{
		unix.IN_CREATE: "create", unix.IN_ATTRIB: "attrib", unix.IN_MODIFY: "modify",
		unix.IN_MOVED_FROM: "move from", unix.IN_MOVED_TO: "move to", unix.IN_DELETE: "delete",
	} {
		if mask&bit != 0 {
			return text
		}
	}
	return ""
}
