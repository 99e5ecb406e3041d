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

// A writer is the kubelet's AtomicWriter or the kit's: it swaps a token into a folder.
type writer struct {
	dir   string
	write func(token string)
}

// writers are the two, each with a volume that holds nothing yet but for the kit's, which
// has a token from the start.
func writers(t *testing.T) map[string]writer {
	t.Helper()
	k := irsatest.New(t)
	sa := k.ServiceAccount("shop", "cart")
	kit := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	dir := filepath.Join(t.TempDir(), "volume")
	genuine := writer{dir, func(token string) { require.NoError(t, writeToken(dir, token)) }}
	genuine.write(kit.Token())
	return map[string]writer{
		"real": genuine,
		"kit":  {filepath.Dir(kit.TokenFile()), func(token string) { kit.Write([]byte(token)) }},
	}
}

func TestTheKitsVolumeIsWrittenInTheRealOrder(t *testing.T) {
	seen := map[string][]string{}
	for name, w := range writers(t) {
		watch := newWatch(t, w.dir)
		w.write("the.second.token")
		seen[name] = watch.events(t)
		w.write("the.second.token")
		assert.Empty(t, watch.events(t), "%s: an equal payload writes nothing", name)
		w.write("the.third.token")
		assert.Equal(t, seen[name], watch.events(t), "%s: each swap is like the one before", name)
	}
	for i := range max(len(seen["real"]), len(seen["kit"])) {
		t.Logf("real: %-30s kit: %s", at(seen["real"], i), at(seen["kit"], i))
	}
	assert.Equal(t, seen["real"], seen["kit"])
	assert.Equal(t, []string{
		"create ..TIME", "attrib ..TIME", // mkdir 0700, chmod 0755
		"create ..data_tmp", "move from ..data_tmp", "move to ..data",
		"delete ..OLD/token", "delete ..OLD",
	}, seen["real"], "Kubernetes has changed what it does")
}

// The first write finds an empty folder. The kit's pod is begun anew for that.
func TestTheKitsFirstWriteIsTheRealOne(t *testing.T) {
	seen := map[string][]string{}
	for name, w := range writers(t) {
		entries, err := os.ReadDir(w.dir)
		require.NoError(t, err)
		for _, entry := range entries {
			require.NoError(t, os.RemoveAll(filepath.Join(w.dir, entry.Name())))
		}
		watch := newWatch(t, w.dir)
		w.write("the.first.token")
		seen[name] = watch.events(t)
	}
	assert.Equal(t, seen["real"], seen["kit"])
	assert.Equal(t, []string{
		"create ..TIME", "attrib ..TIME", "create ..data_tmp", "move from ..data_tmp", "move to ..data", "create token",
	}, seen["real"], "Kubernetes has changed what it does")
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

func TestTheKitsVolumeHasTheRealLayout(t *testing.T) {
	seen := map[string][]string{}
	for name, w := range writers(t) {
		w.write("the.second.token")
		require.NoError(t, filepath.WalkDir(w.dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := entry.Info()
			target, _ := os.Readlink(path) // "" for what is no link
			seen[name] = append(seen[name], fmt.Sprintf("%s %s %s", info.Mode(), anonymous(strings.TrimPrefix(path, w.dir)), anonymous(target)))
			return err
		}))
	}
	t.Log(strings.Join(seen["real"], "\n"))
	assert.Equal(t, seen["real"], seen["kit"])
	assert.Len(t, seen["real"], 5) // the folder, the one with the time, the token in it, and two links
}

var timestamp = regexp.MustCompile(`\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.\d+`)

func anonymous(path string) string { return timestamp.ReplaceAllString(path, "..TIME") }

// A watch sees what happens in a volume, and in the folder that holds the token before a
// swap, in one order (inotify(7)).
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

// addCurrent watches the folder that ..data names, if there is one: it is the old one at the
// next swap.
func (w *watch) addCurrent(t *testing.T) {
	t.Helper()
	current, err := filepath.EvalSymlinks(filepath.Join(w.dir, "..data"))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	require.NoError(t, err)
	w.add(t, current, "..OLD")
}

// events tells what has happened since the last call, without the times in names.
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

// anonymous tells the fresh folder of a swap from the old one.
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
