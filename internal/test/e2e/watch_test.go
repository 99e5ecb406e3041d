package e2e

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

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
