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

	"github.com/irsakit/irsakit/internal/regularfile"
)

// authorization is the token that a request has to bring, in a file that the pod's
// programs can read: AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE. It is read for each request,
// so that whoever replaces the file is followed at once.
type authorization struct{ file string }

// shortest is the length of the shortest token that is good enough to be a secret, and
// longest that of the longest which is read. maxFile is the size of the largest file, which
// has a CR LF after the token.
const (
	shortest = 16
	longest  = 4096
	maxFile  = longest + 2
)

// prepare makes the file, with a token that nobody can guess, unless there is one.
func (a authorization) prepare(groupReads bool) error {
	mode := fs.FileMode(0o600)
	if groupReads {
		mode = 0o640
	}
	info, err := regularfile.Stat(a.file)
	if err == nil {
		return a.keep(info.Mode().Perm(), mode)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the authorization token cannot be read: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(a.file), ".token-*") // with mode 0600
	if err != nil {
		return fmt.Errorf("the authorization token cannot be made: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }() // where it was not renamed
	_, err = io.WriteString(file, rand.Text()+rand.Text())
	err = errors.Join(err, file.Chmod(mode), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), a.file)
	}
	if err != nil {
		return fmt.Errorf("the authorization token cannot be made: %w", err)
	}
	return nil
}

// keep takes the file that is there, if others than those who may know the token cannot
// have read it.
func (a authorization) keep(present, wanted fs.FileMode) error {
	if present&^0o640 != 0 {
		return fmt.Errorf("%s has the mode %v, so that others can read or change the token: remove it", a.file, present)
	}
	if present != wanted {
		if err := os.Chmod(a.file, wanted); err != nil {
			return fmt.Errorf("the authorization token's file cannot be given the mode %v: %w", wanted, err)
		}
	}
	_, err := a.read()
	return err
}

// read returns the token of the moment.
func (a authorization) read() (string, error) {
	file, _, err := regularfile.Open(a.file)
	if err != nil {
		return "", fmt.Errorf("the authorization token cannot be read: %w", err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return "", fmt.Errorf("the authorization token cannot be read: %w", err)
	}
	if len(text) > maxFile {
		return "", fmt.Errorf("%s is larger than %d bytes, a token has %d to %d", a.file, maxFile, shortest, longest)
	}
	token := strings.TrimRight(string(text), "\r\n")
	if len(token) < shortest || len(token) > longest {
		return "", fmt.Errorf("%s has %d characters, a token has %d to %d", a.file, len(token), shortest, longest)
	}
	return token, nil
}

// allows says whether a request brought the token. How long it takes does not tell how
// much of it is right.
func (a authorization) allows(brought string) (bool, error) {
	token, err := a.read()
	if err != nil {
		return false, err
	}
	want, got := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(brought))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1, nil
}
