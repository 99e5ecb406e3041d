package irsatest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// A volume is a projected volume with a single file, "token". Writes use the same sequence of
// system calls as the kubelet (pkg/volume/util/atomic_writer.go):
//
//	token  -> ..data/token                         created once
//	..data -> ..2006_01_02_15_04_05.<random>       replaced by a rename
//	..2006_01_02_15_04_05.<random>/token           one directory for each payload
//
// Windows allows only administrators and, in Developer Mode, everyone to create links. Without
// links, "token" is a regular file that is written in place.
//
// Callers must serialize writes. Readers do not need synchronization. However, as in a real
// pod, a reader that resolved ..data just before the rename may find that the directory no
// longer exists (ENOENT).
type volume struct {
	dir   string
	mode  os.FileMode // the mode of the token file
	links bool        // the volume has links
}

const (
	dataDir    = "..data"
	newDataDir = "..data_tmp"
	tokenName  = "token"
)

func newVolume(dir string) (*volume, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	link := filepath.Join(dir, newDataDir)
	links := os.Symlink(tokenName, link) == nil
	if links {
		if err := os.Remove(link); err != nil {
			return nil, err
		}
	}
	return &volume{dir, 0o644, links}, nil
}

// path returns the path of the token file that a program in the pod opens.
func (v *volume) path() string { return filepath.Join(v.dir, tokenName) }

// write replaces the payload, atomically if the volume has links. It is a no-op if the payload is
// unchanged.
func (v *volume) write(payload []byte) error {
	if current, err := os.ReadFile(v.path()); err == nil && bytes.Equal(current, payload) {
		return nil
	}
	if !v.links {
		_ = os.Chmod(v.path(), 0o644) // the file may be read-only, or not exist
		return errors.Join(v.writeInPlace(payload), v.chmod(v.mode))
	}
	data := filepath.Join(v.dir, dataDir)
	old, err := os.Readlink(data)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	fresh, err := v.writeDirectory(payload)
	if err != nil {
		return err
	}
	link := filepath.Join(v.dir, newDataDir)
	if err := os.Symlink(filepath.Base(fresh), link); err != nil {
		return err
	}
	if runtime.GOOS == "windows" { // Windows cannot rename over a link, so the kubelet also removes it first
		if err := os.Remove(data); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	if err := os.Rename(link, data); err != nil {
		return err
	}
	if _, err := os.Readlink(v.path()); err != nil {
		if err := os.Symlink(filepath.Join(dataDir, tokenName), v.path()); err != nil {
			return err
		}
	}
	if old == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(v.dir, old))
}

// writeDirectory writes payload to a new directory named after the current time.
func (v *volume) writeDirectory(payload []byte) (string, error) {
	fresh, err := os.MkdirTemp(v.dir, time.Now().UTC().Format("..2006_01_02_15_04_05."))
	if err != nil {
		return "", err
	}
	if err := os.Chmod(fresh, 0o755); err != nil {
		return "", err
	}
	file := filepath.Join(fresh, tokenName)
	if err := os.WriteFile(file, payload, 0o644); err != nil {
		return "", err
	}
	return fresh, os.Chmod(file, v.mode) // regardless of the umask
}

// writeInPlace truncates the file behind the links and writes payload to it. The kubelet never does
// this, but a copy or a sidecar may.
func (v *volume) writeInPlace(payload []byte) error {
	return os.WriteFile(v.path(), payload, 0o644)
}

// chmod sets the mode of the file behind the links, and of files written later.
func (v *volume) chmod(mode os.FileMode) error {
	v.mode = mode
	err := os.Chmod(v.path(), mode)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// remove removes the file but keeps the links.
func (v *volume) remove() error {
	file := v.path()
	if v.links {
		file = filepath.Join(v.dir, dataDir, tokenName)
	}
	err := os.Remove(file)
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("removing the token: %w", err)
	}
	return nil
}
