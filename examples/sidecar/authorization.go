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

// authorization verifies the token that each request must contain. The token is in a file
// that the pod's programs can read: AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE. The file is read
// for each request, so that a new token takes effect at once.
type authorization struct{ file string }

// minToken is the length of the shortest token that is accepted as a secret, and maxToken
// that of the longest. maxFile is the size of the largest file: the longest token and CR LF.
const (
	minToken = 16
	maxToken = 4096
	maxFile  = maxToken + 2
)

// prepare creates the file with a random token, unless it exists.
func (a authorization) prepare(groupReads bool) error {
	mode := fs.FileMode(0o600)
	if groupReads {
		mode = 0o640
	}
	info, err := regularfile.Stat(a.file)
	if err == nil {
		return a.useExisting(info.Mode().Perm(), mode)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the authorization token cannot be read: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(a.file), ".token-*") // with mode 0600
	if err != nil {
		return fmt.Errorf("the authorization token cannot be made: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }() // after an error
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

// useExisting sets the mode of an existing file. It returns an error if other users could
// have read or changed the token, or if the token is invalid.
func (a authorization) useExisting(current, wanted fs.FileMode) error {
	if current&^0o640 != 0 {
		return fmt.Errorf("%s has the mode %v, so that others can read or change the token: remove it", a.file, current)
	}
	if current != wanted {
		if err := os.Chmod(a.file, wanted); err != nil {
			return fmt.Errorf("the authorization token's file cannot be given the mode %v: %w", wanted, err)
		}
	}
	_, err := a.read()
	return err
}

// read returns the current token.
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
		return "", fmt.Errorf("%s is larger than %d bytes, a token has %d to %d", a.file, maxFile, minToken, maxToken)
	}
	token := strings.TrimRight(string(text), "\r\n")
	if len(token) < minToken || len(token) > maxToken {
		return "", fmt.Errorf("%s has %d characters, a token has %d to %d", a.file, len(token), minToken, maxToken)
	}
	return token, nil
}

// allows reports whether got is the token. It compares them in constant time.
func (a authorization) allows(got string) (bool, error) {
	token, err := a.read()
	if err != nil {
		return false, err
	}
	wantSum, gotSum := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(got))
	return subtle.ConstantTimeCompare(wantSum[:], gotSum[:]) == 1, nil
}
