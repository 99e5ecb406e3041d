package main

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode"
)

// authorization verifies the token required in each request. It is in a file that the pod's programs
// can read, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE. The file is read for each request, so that a new
// token takes effect immediately.
type authorization struct{ file string }

// Minimum and maximum token length, and the maximum file size, which allows for the longest token
// followed by CR LF.
const (
	minToken = 16
	maxToken = 4096
	maxFile  = maxToken + 2
)

// prepare creates the file with a random token unless it exists. It returns an error if the file
// cannot be trusted or does not contain a valid token.
func (a authorization) prepare(groupReads bool) error {
	mode := fs.FileMode(0o600)
	if groupReads {
		mode = 0o640
	}
	file, err := openToken(a.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return a.create(mode)
	case err != nil:
		return fmt.Errorf("authorization token not usable: %w", err)
	}
	defer file.Close()
	if err := setMode(file, mode); err != nil {
		return fmt.Errorf("authorization token not usable: %w", err)
	}
	_, err = a.read()
	return err
}

// create writes a random token to a new file and then renames it, so that programs never read a
// partial token.
func (a authorization) create(mode fs.FileMode) error {
	file, err := os.CreateTemp(filepath.Dir(a.file), ".token-*") // with mode 0600
	if err != nil {
		return createError(err, filepath.Dir(a.file))
	}
	defer func() { _ = os.Remove(file.Name()) }() // in case of an error
	_, err = io.WriteString(file, rand.Text()+rand.Text())
	err = errors.Join(err, file.Chmod(mode), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), a.file)
	}
	if err != nil {
		return fmt.Errorf("authorization token not created: %w", err)
	}
	return nil
}

// createError returns the error for a token that cannot be created in directory because of err.
func createError(err error, directory string) error {
	err = fmt.Errorf("authorization token not created: %w", err)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		err = fmt.Errorf("%w; mount a volume at %s that this user can write to, or set -token-file", err, directory)
	}
	return err
}

// read returns the current token. It does not block.
func (a authorization) read() (string, error) {
	file, err := openToken(a.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("authorization token not usable: %w; write one to the file, or restart the sidecar, which creates it", err)
	case err != nil:
		return "", fmt.Errorf("authorization token not usable: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return "", fmt.Errorf("authorization token not readable: %w", err)
	}
	if len(text) > maxFile {
		return "", fmt.Errorf("%s is larger than %d bytes; a token has %d to %d characters", a.file, maxFile, minToken, maxToken)
	}
	token := strings.TrimRight(string(text), "\r\n")
	if len(token) < minToken || len(token) > maxToken {
		return "", fmt.Errorf("%s has %d characters; a token has %d to %d", a.file, len(token), minToken, maxToken)
	}
	if strings.TrimSpace(token) != token || strings.ContainsFunc(token, unicode.IsControl) {
		return "", fmt.Errorf("%s has line breaks, other control characters, or white space at an end, which no header can contain; write the token in one line", a.file)
	}
	return token, nil
}

// allows reports whether got is the token. The comparison takes constant time.
func (a authorization) allows(got string) (bool, error) {
	token, err := a.read()
	if err != nil {
		return false, err
	}
	wantSum, gotSum := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(got))
	return subtle.ConstantTimeCompare(wantSum[:], gotSum[:]) == 1, nil
}

// openToken opens the file at path for reading. It returns an error if the file is not a regular file
// in the directory of path, or if other users may have read or changed it. It follows symbolic links
// within the directory, such as those created by the kubelet. It never blocks.
func openToken(path string) (*os.File, error) {
	directory, name := filepath.Split(path)
	if name == "" {
		return nil, fmt.Errorf("%q is not the path of a file", path)
	}
	if directory == "" {
		directory = "."
	}
	info, err := os.Stat(directory)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() { // opening a named pipe would block
		return nil, fmt.Errorf("%s is not a directory", directory)
	}
	root, err := os.OpenRoot(directory)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	file, err := openIn(root, name, path)
	if link, lerr := root.Lstat(name); err != nil && lerr == nil && link.Mode()&fs.ModeSymlink != 0 {
		return nil, fmt.Errorf("%s is a symbolic link: %w", path, err)
	}
	return file, err
}

// openIn opens the named file in root. The type is checked first, because opening a device can have
// side effects, and again afterward, because the file may have been replaced.
func openIn(root *os.Root, name, path string) (*os.File, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, withPath(err, path)
	}
	if err := checkToken(path, info); err != nil {
		return nil, err
	}
	file, err := root.OpenFile(name, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, withPath(err, path)
	}
	if info, err = file.Stat(); err == nil {
		err = checkToken(path, info)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// withPath returns an error of an os.Root with the whole path of the file instead of its name.
func withPath(err error, path string) error {
	var inRoot *fs.PathError
	if !errors.As(err, &inRoot) {
		return err
	}
	return &fs.PathError{Op: "open", Path: path, Err: inRoot.Err}
}
